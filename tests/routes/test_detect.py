"""Faces by POST /detect and /extract-embedding: their fields, from images of every format."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from face_service.face_engine import FaceEngine
from face_service.packs.pack import Pack
from face_service.schemas import DetectResponse
from face_service.vision.blob import Image
from face_service.vision.image import decode
from face_service.vision.quantisation import luminance_step
from tests.formats import avif, heic
from tests.images import encode, every_dress, rotated
from tests.server import Server

from .conftest import GROUP_FACES, faces_of, post


def test_detect_answers_with_the_specified_fields(server: Server, solvay: Path) -> None:
    response = post(server, solvay.read_bytes())

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    DetectResponse.model_validate(body, strict=True)
    assert (body["image_width"], body["image_height"]) == (3000, 2171)
    assert body["processing_time_ms"] > 0
    assert len(body["faces"]) == 29
    for face in body["faces"]:
        x1, y1, x2, y2 = face["bbox"]
        assert 0 <= x1 < x2 <= 3000
        assert 0 <= y1 < y2 <= 2171
        assert 0.5 <= face["det_score"] <= 1
        assert np.linalg.norm(face["embedding"]) == pytest.approx(1, abs=1e-5)
        assert len(face["embedding"]) == 512
        assert 0 < face["age"] < 100
        assert face["gender"] in ("M", "F")
        assert np.shape(face["landmarks"]) == (5, 2)
        assert face["usable"] == (face["quality"]["score"] >= 0.5) == (face["reasons"] == [])
        assert face["error"] is None
    scores = [face["det_score"] for face in body["faces"]]
    assert scores == sorted(scores, reverse=True)


def test_the_wire_carries_what_the_engine_found(
    server: Server, open_engine: FaceEngine, group: bytes
) -> None:
    expected = open_engine.analyse_image(decode(group, 10**8))
    for face, wire in zip(expected, faces_of(server, group), strict=True):
        # Another process may round the norm of a vector otherwise, on some CPUs.
        np.testing.assert_array_max_ulp(np.float32(wire["embedding"]), face.embedding, 2)
        assert np.array_equal(np.float32(wire["landmarks"]), face.landmarks)
        assert np.float32(wire["det_score"]) == np.float32(face.score)
        assert (wire["age"], wire["gender"]) == (face.age, face.gender)
        assert face.quality is not None
        assert wire["usable"] == face.usable
        assert wire["reasons"] == list(face.quality.reasons)
        quality = wire["quality"]
        assert quality.pop("pose") == pytest.approx(face.quality.pose._asdict())
        step, side = luminance_step(group), float(min(face.bbox[2:] - face.bbox[:2]))
        assert quality.pop("compression") == pytest.approx(step / (side / 8) ** 2, rel=1e-5)
        assert quality == {
            name: pytest.approx(getattr(face.quality, name))
            for name in ("score", "size", "sharpness", "brightness", "visible", "combing")
        }


def test_no_faces_is_a_200_with_an_empty_list(server: Server) -> None:
    black = encode(np.zeros((480, 640, 3), np.uint8), "JPEG")
    body = post(server, black).json()
    assert body["faces"] == []
    assert (body["image_width"], body["image_height"]) == (640, 480)


def test_boxes_are_clipped_to_the_image(server: Server, pixels: Image) -> None:
    left = min(faces_of(server, encode(pixels, "PNG")), key=lambda face: face["bbox"][0])
    x1, _, x2, _ = (int(value) for value in left["bbox"])
    cut = np.ascontiguousarray(pixels[:, x1 + (x2 - x1) // 5 :])
    boxes = [face["bbox"] for face in faces_of(server, encode(cut, "PNG"))]
    assert min(box[0] for box in boxes) == 0


def test_the_body_may_be_the_image_itself(server: Server, group: bytes) -> None:
    response = server.client.post("/detect", content=group, headers={"content-type": "image/jpeg"})
    assert len(response.json()["faces"]) == GROUP_FACES


@pytest.mark.parametrize("head", ["", "data:image/jpeg;base64,"])
def test_extract_embedding_answers_the_same_as_detect(
    server: Server, group: bytes, head: str
) -> None:
    text = head + base64.b64encode(group).decode()
    response = server.client.post("/extract-embedding", json={"image_base64": text})
    assert response.status_code == 200
    assert response.json()["faces"] == faces_of(server, group)


def test_base64_may_be_wrapped_in_lines(server: Server, group: bytes) -> None:
    text = base64.encodebytes(group).decode()
    response = server.client.post("/extract-embedding", json={"image_base64": text})
    assert len(response.json()["faces"]) == GROUP_FACES


def test_every_format_is_read_through_the_endpoint(server: Server, pixels: Image) -> None:
    counted = {"embedding_format": "none", "attributes": False}
    expected = len(faces_of(server, encode(pixels, "PNG"), **counted))
    assert expected == GROUP_FACES
    lying = np.ascontiguousarray(np.rot90(pixels))
    phones = {
        "heic": heic(pixels),
        "heic in tiles": heic(pixels, tile=256),
        "heic turned": heic(lying, orientation=6),
        "avif turned": avif(lying, orientation=6),
    }
    counts = {
        name: len(faces_of(server, data, **counted))
        for name, data in (every_dress(pixels) | phones).items()
    }
    for name, count in counts.items():
        # 256 colours may cost a face at the threshold.
        assert expected - ("palette" in name or "gif" in name) <= count <= expected, name


def test_a_video_is_refused_with_what_to_do(server: Server) -> None:
    response = post(server, b"\x00\x00\x00\x18ftypisom" + bytes(100))
    assert response.status_code == 400
    error = response.json()
    assert error["code"] == "invalid_image"
    assert "an MP4 video" in error["detail"]
    assert "send frames of it" in error["detail"]


def test_a_rotated_photo_is_seen_upright(server: Server, pixels: Image) -> None:
    body = post(server, rotated(pixels, 6, "JPEG", quality=95)).json()
    assert (body["image_width"], body["image_height"]) == (610, 340)
    assert len(body["faces"]) == len(faces_of(server, encode(pixels, "JPEG", quality=95)))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2000), (2000, 1), (4000, 6000)])
def test_odd_sizes_have_no_faces(server: Server, height: int, width: int) -> None:
    body = post(server, encode(np.zeros((height, width, 3), np.uint8), "PNG")).json()
    assert body["faces"] == []
    assert (body["image_width"], body["image_height"]) == (width, height)


def test_the_response_names_what_made_it(server: Server, group: bytes, open_pack: Pack) -> None:
    model = post(server, group).json()["model"]
    assert model["pack"] == "open"
    assert model["recogniser"] == open_pack.models["recognition"].sha256
    assert model["precision"] == "fp32"


def test_stage_times_are_in_the_header(server: Server, group: bytes) -> None:
    timing = post(server, group).headers["server-timing"]
    stages = [part.partition(";dur=")[0] for part in timing.split(", ")]
    assert stages == [
        "decode", "queue", "detect", "align", "quality", "embed", "attributes", "serialise",
    ]  # fmt: skip


def test_a_request_id_is_kept_or_made(server: Server, group: bytes) -> None:
    headers = {"x-request-id": "frame-17"}
    response = server.client.post("/detect", files={"file": group}, headers=headers)
    assert response.headers["x-request-id"] == response.json()["request_id"] == "frame-17"
    hostile = server.client.get("/health", headers={"x-request-id": "<script>"})
    assert hostile.headers["x-request-id"].isalnum()


def test_parallel_requests_do_not_mix_their_faces(
    server: Server, group: bytes, pixels: Image
) -> None:
    few = encode(pixels[:, 330:], "PNG")
    pictures = {GROUP_FACES: group, len(faces_of(server, few)): few}
    assert len(pictures) == 2
    expected = {n: [f["bbox"] for f in faces_of(server, data)] for n, data in pictures.items()}
    jobs = list(pictures) * 4
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: (n, faces_of(server, pictures[n])), jobs))
    for count, faces in answers:
        assert [face["bbox"] for face in faces] == expected[count]
