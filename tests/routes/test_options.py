"""The options of a request: which faces are answered, and which of their fields."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from tests.server import Server

from .conftest import assert_error, faces_of, post, post_batch


def test_min_score_and_max_faces_keep_the_best(server: Server, group: bytes) -> None:
    everyone = faces_of(server, group)
    best = faces_of(server, group, max_faces=2)
    # Batches of other sizes may add up in another order.
    assert [face["bbox"] for face in best] == [face["bbox"] for face in everyone[:2]]
    floor = everyone[2]["det_score"]
    assert len(faces_of(server, group, min_score=floor - 1e-6)) == 3
    assert faces_of(server, group, min_score=1) == []


def test_min_face_size_counts_the_shorter_side(server: Server, group: bytes) -> None:
    sides = [
        min(f["bbox"][2] - f["bbox"][0], f["bbox"][3] - f["bbox"][1])
        for f in faces_of(server, group)
    ]
    limit = np.mean(sorted(sides)[1:3])
    kept = faces_of(server, group, min_face_size=limit)
    assert len(kept) == sum(side >= limit for side in sides)


def test_embedding_formats(server: Server, group: bytes) -> None:
    numbers, text, none = (
        faces_of(server, group, max_faces=2, embedding_format=form)
        for form in ("float", "base64", "none")
    )
    for a, b, c in zip(numbers, text, none, strict=True):
        unpacked = np.frombuffer(base64.b64decode(b["embedding"]), "<f4")
        assert np.array_equal(unpacked, np.float32(a["embedding"]))
        assert c["embedding"] is None


def test_attributes_and_landmarks_can_be_left_out(server: Server, group: bytes) -> None:
    face = faces_of(server, group, attributes="false", landmarks="false", max_faces=1)[0]
    assert (face["age"], face["gender"], face["landmarks"]) == (None, None, None)
    assert len(face["embedding"]) == 512


def test_quality_can_be_had_alone_or_left_out(server: Server, group: bytes) -> None:
    whole = faces_of(server, group, max_faces=1)[0]
    alone = faces_of(server, group, max_faces=1, embedding_format="none", attributes="false")[0]
    assert alone["quality"] == whole["quality"] is not None
    without = faces_of(server, group, max_faces=1, quality="false")[0]
    assert (without["quality"], without["usable"], without["reasons"]) == (None, None, None)
    body = {"image_base64": base64.b64encode(group).decode(), "quality": False, "max_faces": 1}
    json_body = server.client.post("/extract-embedding", json=body).json()
    assert json_body["faces"][0]["usable"] is None
    batch = post_batch(server, [group], quality=False).json()
    assert {face["usable"] for face in batch["results"][0]["faces"]} == {None}


def test_options_travel_in_json_too_and_win_over_the_query(server: Server, group: bytes) -> None:
    body = {
        "image_base64": base64.b64encode(group).decode(),
        "max_faces": 2,
        "embedding_format": "none",
    }
    response = server.client.post("/extract-embedding", json=body, params={"max_faces": 5})
    assert [face["embedding"] for face in response.json()["faces"]] == [None, None]


def test_how_faces_are_looked_for_is_in_the_answer(server: Server, group: bytes) -> None:
    width = 610  # and the canvas has 640
    plain = post(server, group, embedding_format="none").json()
    assert plain["detection"] == {
        "det_size": 640,
        "detail": "1",
        "tiles": 0,
        "rotations": "none",
        "angles": [0],
        "order": "score",
    }
    assert plain["smallest_face_px"] == pytest.approx(10 * width / 640)
    assert {face["rotation"] for face in plain["faces"]} == {0}
    assert plain["model"]["alignment"] == "antialiased"
    closer = {"det_size": 640, "detail": 2, "rotations": "all", "order": "size"}
    found = post(server, group, embedding_format="none", **closer).json()
    assert found["detection"] == {
        **closer,
        "detail": "2",
        "tiles": 2,
        "angles": [0, 90, 180, 270],
    }
    assert found["smallest_face_px"] == pytest.approx(plain["smallest_face_px"] / 1.8, rel=0.02)
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (face["bbox"] for face in found["faces"])]
    assert areas == sorted(areas, reverse=True)
    assert len(areas) == 4
    body = {"image_base64": base64.b64encode(group).decode(), "detail": 2, "order": "center"}
    json_body = server.client.post("/extract-embedding", json=body).json()
    assert (json_body["detection"]["tiles"], json_body["detection"]["order"]) == (2, "center")
    batch = post_batch(server, [group, b"no image"], detail="auto").json()["results"]
    assert [one["detection"] and one["detection"]["detail"] for one in batch] == ["auto", None]
    assert batch[1]["smallest_face_px"] is None


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"min_score": 1.5}, ["min_score"]),
        ({"min_score": "nan"}, ["min_score"]),
        ({"min_score": "high"}, ["min_score"]),
        ({"max_faces": 0}, ["max_faces"]),
        ({"min_face_size": -1}, ["min_face_size"]),
        ({"embedding_format": "hex"}, ["embedding_format", "float", "base64", "none"]),
        ({"attributes": "perhaps"}, ["attributes"]),
        ({"det_size": 650}, ["det_size", "32"]),
        ({"detail": "4"}, ["detail", "auto", "3"]),
        ({"rotations": "some"}, ["rotations", "auto", "all", "none"]),
        ({"order": "best"}, ["order", "score", "size", "center"]),
        ({"minscore": 0.5}, ["minscore", "not a known option"]),
    ],
    ids=str,
)
def test_bad_parameters_are_a_400_that_names_them(
    server: Server, group: bytes, query: dict[str, object], words: list[str]
) -> None:
    assert_error(post(server, group, **query), 400, "invalid_request", *words)


def test_the_size_of_a_detector_that_takes_one_alone_is_named(
    starter_server: Server, group: bytes
) -> None:
    refused = post(starter_server, group, det_size=320)
    assert_error(refused, 400, "invalid_request", "det_size", "640 may be")
