"""POST /embed and crops=true: aligned faces out, kept, and embedded again."""

from __future__ import annotations

import base64
import json
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from face_service.schemas.embedding import EmbedResponse
from face_service.vision.blob import Image
from tests.images import encode
from tests.server import Server

from .conftest import assert_error, faces_of, post, post_batch

Vectors = NDArray[np.float32]


@pytest.fixture(scope="module")
def faces(server: Server, group: bytes) -> list[dict[str, Any]]:
    """The faces of a photo, with crops."""
    return faces_of(server, group, crops=True)


@pytest.fixture(scope="module")
def crops(faces: list[dict[str, Any]]) -> list[bytes]:
    return [base64.b64decode(face["crop"]) for face in faces]


def embed(server: Server, files: list[bytes], **query: object) -> httpx.Response:
    form = [("files", (f"{n}.jpg", data)) for n, data in enumerate(files)]
    return server.client.post("/embed", files=form, params=query)


def embed_known(server: Server, image: bytes, known: object, **query: object) -> httpx.Response:
    return server.client.post(
        "/embed", files={"file": ("a.jpg", image)}, data={"faces": json.dumps(known)}, params=query
    )


def results_of(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    EmbedResponse.model_validate(response.json(), strict=True)
    return response.json()["results"]


def cosines(results: list[dict[str, Any]], faces: list[dict[str, Any]]) -> Vectors:
    mine, theirs = ([one["embedding"] for one in some] for some in (results, faces))
    return np.einsum("ij,ij->i", np.array(mine), np.array(theirs))


def test_crops_are_aligned_faces(crops: list[bytes], faces: list[dict[str, Any]]) -> None:
    assert len(crops) == 4
    for crop in crops:
        assert crop.startswith(b"\xff\xd8\xff")
        assert 4_000 < len(crop) < 14_000
        pixels = cv2.imdecode(np.frombuffer(crop, np.uint8), cv2.IMREAD_COLOR)
        assert pixels.shape == (112, 112, 3)
        assert pixels[24:104, 20:92].std() > 15, "a picture of something"


def test_a_face_has_a_crop_only_if_it_is_asked_for(
    server: Server, group: bytes, faces: list[dict[str, Any]]
) -> None:
    assert [face["crop"] for face in faces_of(server, group)] == [None] * 4
    (batch,) = post_batch(server, [group], crops=True, embedding_format="none").json()["results"]
    assert [face["crop"] for face in batch["faces"]] == [face["crop"] for face in faces]
    body = {"image_base64": base64.b64encode(group).decode(), "crops": True, "max_faces": 1}
    (one,) = server.client.post("/extract-embedding", json=body).json()["faces"]
    assert one["crop"] == faces[0]["crop"]


def test_a_crop_embeds_as_its_face_does(
    server: Server, crops: list[bytes], faces: list[dict[str, Any]]
) -> None:
    results = results_of(embed(server, crops))
    assert [one["file"] for one in results] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert cosines(results, faces).min() > 0.998
    assert np.abs(np.linalg.norm([one["embedding"] for one in results], axis=1) - 1).max() < 1e-5
    text = [base64.b64encode(crop).decode() for crop in crops]
    again = server.client.post(
        "/embed", json={"crops_base64": [text[0], "data:image/jpeg;base64," + text[1], *text[2:]]}
    )
    for one, other in zip(results, results_of(again), strict=True):
        assert np.allclose(one["embedding"], other["embedding"], atol=1e-5)


def test_a_png_of_the_crop_is_embedded_to_the_pixel(
    server: Server, pixels: Image, faces: list[dict[str, Any]]
) -> None:
    from face_service.vision.alignment import align_face

    aligned = [align_face(pixels, np.array(face["landmarks"], np.float32)) for face in faces]
    files = [encode(crop, "PNG") for crop in aligned if crop is not None]
    assert cosines(results_of(embed(server, files)), faces).min() > 0.99999


def test_known_landmarks_and_boxes_give_what_detect_gave(
    server: Server, group: bytes, faces: list[dict[str, Any]]
) -> None:
    landmarks = [{"landmarks": face["landmarks"]} for face in reversed(faces)]
    found = results_of(embed_known(server, group, landmarks, crops=True))
    assert cosines(found, faces[::-1]).min() > 0.99999
    assert [one["crop"] for one in found] == [face["crop"] for face in reversed(faces)]
    boxes = [{"bbox": face["bbox"]} for face in faces]
    assert cosines(results_of(embed_known(server, group, boxes)), faces).min() > 0.99999
    body = {
        "image_base64": base64.b64encode(group).decode(),
        "faces": [boxes[2], landmarks[0]],
        "embedding_format": "base64",
    }
    mixed = results_of(server.client.post("/embed", json=body))
    for one, face in zip(mixed, (faces[2], faces[3]), strict=True):
        vector = np.frombuffer(base64.b64decode(one["embedding"]), "<f4")
        assert np.dot(vector, face["embedding"]) > 0.99999


def test_a_box_is_looked_at_closer_where_the_whole_picture_shows_no_face(
    starter_server: Server, group: bytes
) -> None:
    photo = cv2.imdecode(np.frombuffer(group, np.uint8), cv2.IMREAD_COLOR)
    large = np.full((2000, 8000, 3), 128, np.uint8)
    large[900 : 900 + photo.shape[0], 5000 : 5000 + photo.shape[1]] = photo
    picture = encode(large, "PNG")
    assert faces_of(starter_server, picture) == []
    faces = faces_of(starter_server, picture, detail="auto")
    assert len(faces) == 4
    nobody = {"bbox": [100, 100, 200, 200]}
    found = results_of(
        embed_known(starter_server, picture, [*({"bbox": face["bbox"]} for face in faces), nobody])
    )
    assert [one["status"] for one in found] == [200, 200, 200, 200, 400]
    assert cosines(found[:4], faces).min() > 0.95


def test_known_landmarks_are_not_looked_for(server: Server, faces: list[dict[str, Any]]) -> None:
    """Noise shows no face, and its box none; with landmarks it is embedded nevertheless."""
    noise = np.random.default_rng(0).integers(0, 255, (340, 610, 3), np.uint8)
    known = [{"bbox": faces[0]["bbox"]}, {"landmarks": faces[0]["landmarks"]}]
    results = results_of(embed_known(server, encode(noise, "PNG"), known))
    assert [one["status"] for one in results] == [400, 200]


def test_a_face_that_cannot_be_embedded_costs_only_itself(
    server: Server, group: bytes, crops: list[bytes], faces: list[dict[str, Any]]
) -> None:
    results = results_of(embed(server, [crops[0], b"text", group, crops[1][:900], crops[1]]))
    assert [one["status"] for one in results] == [200, 400, 400, 400, 200]
    assert [one["error"] and one["error"]["code"] for one in results][1:4] == ["invalid_image"] * 3
    assert "112x112" in results[2]["error"]["detail"]
    known = [
        {"landmarks": faces[0]["landmarks"]},
        {"landmarks": [[5, 5]] * 5},
        {"landmarks": (np.array(faces[0]["landmarks"]) + 5000).tolist()},
        {"bbox": [0, 0, 12, 12]},
    ]
    results = results_of(embed_known(server, group, known))
    assert [one["status"] for one in results] == [200, 400, 400, 400]
    assert all(one["error"]["code"] == "invalid_request" for one in results[1:])
    assert "landmarks" in results[1]["error"]["detail"]
    assert "box" in results[3]["error"]["detail"]
    assert_error(embed_known(server, b"text", known), 400, "invalid_image")


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ([], ["0 faces"]),
        ({}, ["faces"]),
        ([{}], ["faces.0: give landmarks"]),
        ([{"bbox": [0, 0, 1, 1], "landmarks": [[0, 0]] * 5}], ["one of the two"]),
        ([{"landmarks": [[0, 0]] * 4}], ["landmarks"]),
        ([{"bbox": [0, 0, 1, 1e7]}], ["bbox"]),
        ([{"box": [0, 0, 1, 1]}], ["box: is not a known option"]),
        ([{"bbox": [0, 0, 9, 9]}] * 513, ["512"]),
        ([[[]] * 5000], ["arrays"]),
    ],
)
def test_bad_places_are_refused(
    server: Server, group: bytes, known: object, words: list[str]
) -> None:
    assert_error(embed_known(server, group, known), 400, "invalid_request", *words)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, ["crops_base64"]),
        ({"crops_base64": []}, ["crops_base64"]),
        ({"crops_base64": ["?"]}, ["crops_base64.0", "base64"]),
        ({"crops_base64": [5]}, ["crops_base64.0"]),
        ({"image_base64": "AAAA"}, ["faces"]),
        ({"crops_base64": ["AAAA"], "image_base64": "AAAA", "faces": [{}]}, ["one of the two"]),
        ({"crops_base64": ["AAAA"], "attributes": True}, ["attributes: is not a known option"]),
    ],
)
def test_bad_json_is_refused(server: Server, body: dict[str, Any], words: list[str]) -> None:
    assert_error(server.client.post("/embed", json=body), 400, "invalid_request", *words)


def test_forms_that_are_neither_are_refused(
    server: Server, group: bytes, crops: list[bytes]
) -> None:
    def send(**parts: Any) -> httpx.Response:
        return server.client.post("/embed", **parts)

    image, crop = ("a.jpg", group), ("b.jpg", crops[0])
    assert_error(send(files={"file": image}), 400, "invalid_request", "'faces'")
    both = send(files={"file": image, "files": crop}, data={"faces": "[]"})
    assert_error(both, 400, "invalid_request", "'files'")
    assert_error(send(files={"picture": image}), 400, "invalid_request", "picture")
    assert_error(embed(server, crops, quality=True), 400, "invalid_request", "quality")
    raw = send(content=crops[0], headers={"content-type": "image/jpeg"})
    assert_error(raw, 400, "invalid_request", "files")
    assert_error(embed(server, [b"x"] * 514), 400, "invalid_request")


def test_many_crops_are_embedded_in_one_request(server: Server, crops: list[bytes]) -> None:
    """More than a batch of /detect may hold, in several parts."""
    results = results_of(embed(server, crops[:1] * 40, embedding_format="base64"))
    vectors = np.stack(
        [np.frombuffer(base64.b64decode(one["embedding"]), "<f4") for one in results]
    )
    assert vectors.shape == (40, 512)
    assert np.abs(vectors - vectors[0]).max() < 1e-5


def test_no_crop_of_a_face_without_one(server: Server) -> None:
    black = encode(np.zeros((300, 300, 3), np.uint8), "PNG")
    assert post(server, black, crops=True).json()["faces"] == []
