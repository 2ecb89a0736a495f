"""POST /compare over a real socket: who is who, who cannot be told, and bad requests."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from face_service.packs.pack import Pack
from face_service.schemas import CompareResponse
from tests.images import encode
from tests.server import Server
from tests.wire import metric, settled

from .conftest import assert_error

THRESHOLD = 0.275
NOBODY = encode(np.zeros((200, 300, 3), np.uint8), "PNG")


def compare(server: Server, a: bytes, b: bytes, **query: object) -> httpx.Response:
    files = {"file_a": ("one.jpg", a), "file_b": ("other.jpg", b)}
    return server.client.post("/compare", files=files, params=query)


def answer(server: Server, a: bytes, b: bytes, **query: object) -> dict:
    response = compare(server, a, b, **query)
    assert response.status_code == 200, response.text
    CompareResponse.model_validate(response.json(), strict=True)
    return response.json()


@pytest.fixture(scope="module")
def people(four_faces: Path) -> bytes:
    """Four people."""
    return four_faces.read_bytes()


@pytest.fixture(scope="module")
def photos(shared: Path) -> Callable[[str, int], bytes]:
    """A photo of a person in ../shared, by name and number."""
    return lambda name, number: (
        shared / "faces" / "lfw" / name / f"{name}_{number:04}.jpg"
    ).read_bytes()


def test_two_photos_of_one_person(server: Server, photos: Callable[[str, int], bytes]) -> None:
    body = answer(server, photos("Alexander_Downer", 1), photos("Alexander_Downer", 2))
    assert body["verdict"] == "same_person"
    assert body["best"] == body["pairs"][0]
    assert body["best"]["same_person"] is True
    assert body["best"]["reliable"] is True
    assert body["best"]["similarity"] >= THRESHOLD
    assert f"{body['best']['similarity']:.3f}" in body["detail"]
    assert body["threshold"]["similarity"] == THRESHOLD
    assert 0 < body["threshold"]["false_match_rate"] < 0.02
    assert "LFW" in body["threshold"]["measured_on"]
    assert body["model"]["pack"] == "open"
    assert [face["embedding"] for face in body["a"]["faces"]] == [None]


def test_two_photos_of_two_people(server: Server, photos: Callable[[str, int], bytes]) -> None:
    body = answer(server, photos("Alexander_Downer", 1), photos("Ana_Guevara", 1))
    assert body["verdict"] == "different_people"
    assert body["best"]["same_person"] is False
    assert body["best"]["similarity"] < THRESHOLD


def test_every_face_of_one_with_every_face_of_the_other(
    starter_server: Server, solvay: Path
) -> None:
    group = cv2.imread(str(solvay))[1010:1350]
    left, right = group[:, 2076:2556], group[:, 2220:2700]
    body = answer(
        starter_server, encode(left, "PNG"), encode(right, "PNG"), embedding_format="float"
    )
    a, b = (np.float32([face["embedding"] for face in body[name]["faces"]]) for name in ("a", "b"))
    assert (body["a"]["image_width"], body["b"]["image_height"]) == (480, 340)
    assert len(body["pairs"]) == len(a) * len(b)
    similarities = [pair["similarity"] for pair in body["pairs"]]
    assert similarities == sorted(similarities, reverse=True)
    for pair in body["pairs"]:
        assert pair["similarity"] == pytest.approx(float(a[pair["a"]] @ b[pair["b"]]), abs=1e-5)
        assert pair["same_person"] == (pair["similarity"] >= THRESHOLD)
        usable = [body[name]["faces"][pair[name]]["usable"] for name in ("a", "b")]
        assert pair["reliable"] == all(usable)
    # Those in the common part are their own best match, 144 pixels to the left.
    best = body["pairs"][0]
    places = [np.mean(body[name]["faces"][best[name]]["bbox"][::2]) for name in ("a", "b")]
    assert places[0] - places[1] == pytest.approx(144, abs=2)
    assert best["similarity"] > 0.99
    assert body["verdict"] == "same_person"


@pytest.mark.parametrize("which", ["file_a", "file_b"])
def test_no_face(server: Server, people: bytes, which: str) -> None:
    pair = (NOBODY, people) if which == "file_a" else (people, NOBODY)
    body = answer(server, *pair)
    assert body["verdict"] == "no_face"
    assert body["best"] is None
    assert body["pairs"] == []
    assert body["detail"].endswith(f"in {which}")
    nobody = answer(server, NOBODY, NOBODY)
    assert nobody["detail"].endswith("in file_a and file_b")


def test_a_face_too_poor_to_compare_says_so(
    server: Server, photos: Callable[[str, int], bytes]
) -> None:
    good = photos("Alexander_Downer", 1)
    image = cv2.imdecode(np.frombuffer(good, np.uint8), cv2.IMREAD_COLOR)
    blurred = encode(cv2.GaussianBlur(image, (0, 0), 4), "PNG")
    for pair, name in (((good, blurred), "file_b"), ((blurred, good), "file_a")):
        body = answer(server, *pair, quality=False, max_faces=1)
        assert body["verdict"] == "too_poor"
        assert body["best"]["reliable"] is False
        assert f"the face in {name} is blurred" in body["detail"]
        assert body["a"]["faces"][0]["usable"] is None, "computed, and not asked for"


def test_a_poor_face_beside_a_good_one_does_not_spoil_it(
    server: Server, photos: Callable[[str, int], bytes]
) -> None:
    good, same = (
        cv2.imdecode(np.frombuffer(photos("Alexander_Downer", n), np.uint8), cv2.IMREAD_COLOR)
        for n in (1, 2)
    )
    beside = np.hstack([same, cv2.GaussianBlur(good, (0, 0), 4)])
    body = answer(server, encode(good, "PNG"), encode(beside, "PNG"))
    assert {face["usable"] for face in body["b"]["faces"]} == {True, False}
    assert body["verdict"] == "same_person"


def test_the_options_hold_for_both(server: Server, people: bytes) -> None:
    body = answer(
        server, people, people, max_faces=2, attributes=False, landmarks=False, quality=False
    )
    assert len(body["pairs"]) == 4
    for face in (*body["a"]["faces"], *body["b"]["faces"]):
        assert (face["age"], face["landmarks"], face["quality"]) == (None, None, None)
    text = answer(server, people, people, max_faces=1, embedding_format="base64")
    assert isinstance(text["a"]["faces"][0]["embedding"], str)
    assert_error(compare(server, people, people, max_faces=0), 400, "invalid_request", "max_faces")
    assert_error(compare(server, people, people, threshold=1), 400, "invalid_request", "threshold")


@pytest.mark.parametrize("which", ["file_a", "file_b"])
@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "empty"), (b"just text", "Invalid image format"), (b"\xff\xd8\xff\xe0\0\0", "JPEG")],
)
def test_a_bad_file_is_named(server: Server, which: str, data: bytes, words: str) -> None:
    pair = (data, NOBODY) if which == "file_a" else (NOBODY, data)
    assert_error(compare(server, *pair), 400, "invalid_image", f"{which}: ", words)


def test_both_files_must_be_there(server: Server) -> None:
    client = server.client
    for present, missing in (("file_a", "file_b"), ("file_b", "file_a")):
        response = client.post("/compare", files={present: NOBODY})
        assert_error(response, 400, "invalid_request", f"'{missing}'")
    more = client.post("/compare", files=[(name, NOBODY) for name in ("file_a", "file_b", "c")])
    assert_error(more, 400, "invalid_request", "2")
    body = client.post("/compare", content=NOBODY, headers={"content-type": "image/png"})
    assert_error(body, 400, "invalid_request", "file_a and file_b")


def test_stages_are_those_of_one_turn(server: Server, people: bytes) -> None:
    timing = compare(server, people, people).headers["server-timing"]
    stages = [part.partition(";dur=")[0] for part in timing.split(", ")]
    expected = ["decode", "queue", "detect", "align", "quality", "embed", "attributes"]
    assert [stage for stage in stages if stage in expected] == expected


@pytest.fixture(scope="module")
def unmeasured(start_server: Callable[..., Server], starter: Pack, tmp_path_factory) -> Iterator:
    """A server on the starter pack's networks as a folder that knows no threshold, with a key
    a small limit of pixels, and room for one request."""
    folder = tmp_path_factory.mktemp("unmeasured")
    for model in starter.models.values():
        (folder / model.path.name).symlink_to(model.path)
    server = start_server(
        INSIGHTFACE_MODEL=str(folder),
        API_KEYS=hashlib.sha256(b"secret").hexdigest(),
        MAX_IMAGE_PIXELS="1000000",
        MAX_QUEUE="1",
    )
    server.wait_until_ready()
    yield server
    server.stop()


def test_without_a_measured_threshold_there_is_no_verdict(
    unmeasured: Server, people: bytes
) -> None:
    unmeasured.client.headers["X-API-Key"] = "secret"
    body = answer(unmeasured, people, people, max_faces=1)
    assert body["verdict"] == "no_threshold"
    assert body["best"]["similarity"] > 0.99
    assert body["best"]["same_person"] is None
    assert body["best"]["reliable"] is True
    assert set(body["threshold"].values()) == {None}
    assert "not been measured" in body["detail"]


def test_a_key_is_needed_where_there_are_keys(unmeasured: Server) -> None:
    with httpx.Client(base_url=unmeasured.url) as stranger:
        response = stranger.post("/compare", files={"file_a": NOBODY, "file_b": NOBODY})
    assert_error(response, 401, "unauthorized")


def test_a_picture_over_the_limit_is_a_413_that_names_it(unmeasured: Server) -> None:
    unmeasured.client.headers["X-API-Key"] = "secret"
    large = encode(np.zeros((1001, 1000, 3), np.uint8), "PNG")
    assert_error(compare(unmeasured, NOBODY, large), 413, "too_large", "file_b: ", "1000000")


def test_it_waits_in_the_same_line_as_everybody(unmeasured: Server) -> None:
    unmeasured.client.headers["X-API-Key"] = "secret"
    with socket.create_connection(("127.0.0.1", unmeasured.port), timeout=10) as connection:
        connection.sendall(
            b"POST /detect HTTP/1.1\r\nhost: x\r\nx-api-key: secret\r\n"
            b"content-type: image/png\r\ncontent-length: 9999\r\n\r\n"
        )
        settled(lambda: metric(unmeasured, "face_service_requests_inside") == 1)
        refused = compare(unmeasured, NOBODY, NOBODY)
    assert_error(refused, 429, "overloaded")
    assert int(refused.headers["retry-after"]) > 0
