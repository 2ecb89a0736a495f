"""The wire, as a client sees it: a real server, a real socket, real photos."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from face_service.face_engine import FaceEngine
from face_service.packs.pack import Pack
from face_service.schemas import (
    BatchResponse,
    DetectResponse,
    ErrorResponse,
    HealthResponse,
    ModelsResponse,
)
from face_service.vision.image import decode
from tests.images import encode, every_dress, rotated
from tests.server import Server

SOLVAY_FACES = 29


@pytest.fixture(scope="session")
def group(solvay: Path) -> bytes:
    """Solvay 1927 at 1200×868: 29 faces."""
    image = cv2.resize(cv2.imread(str(solvay)), (1200, 868), interpolation=cv2.INTER_AREA)
    return encode(image, "JPEG", quality=95)


@pytest.fixture(scope="session")
def portrait(solvay: Path) -> np.ndarray:
    """A piece of Solvay 1927 with three faces, BGR."""
    return decode(solvay.read_bytes(), 10**8)[900:1400, 1250:2050].copy()


def post(server: Server, data: bytes, **query: object) -> httpx.Response:
    return server.client.post("/detect", files={"file": ("frame.jpg", data)}, params=query)


def faces_of(server: Server, data: bytes, **query: object) -> list[dict]:
    response = post(server, data, **query)
    assert response.status_code == 200, response.text
    return response.json()["faces"]


def assert_error(response: httpx.Response, status: int, code: str, *words: str) -> None:
    """The one error shape, with a sentence that holds `words`."""
    assert response.status_code == status, response.text
    error = ErrorResponse.model_validate(response.json(), strict=True)
    assert set(response.json()) == {"detail", "code", "request_id"}
    assert error.code == code
    assert error.request_id == response.headers["x-request-id"]
    for word in words:
        assert word in error.detail
    assert "Traceback" not in response.text
    assert "/work" not in response.text


def test_detect_answers_with_the_specified_fields(server: Server, group: bytes) -> None:
    response = post(server, group)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    DetectResponse.model_validate(body, strict=True)
    assert (body["image_width"], body["image_height"]) == (1200, 868)
    assert body["processing_time_ms"] > 0
    assert len(body["faces"]) == SOLVAY_FACES
    for face in body["faces"]:
        x1, y1, x2, y2 = face["bbox"]
        assert 0 <= x1 < x2 <= 1200
        assert 0 <= y1 < y2 <= 868
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
    server: Server, engine: FaceEngine, group: bytes
) -> None:
    expected = engine.faces_of(decode(group, 10**8))
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
        assert quality == {
            name: pytest.approx(getattr(face.quality, name))
            for name in ("score", "size", "sharpness", "brightness", "visible")
        }


def test_no_faces_is_a_200_with_an_empty_list(server: Server) -> None:
    black = encode(np.zeros((480, 640, 3), np.uint8), "JPEG")
    body = post(server, black).json()
    assert body["faces"] == []
    assert (body["image_width"], body["image_height"]) == (640, 480)


def test_boxes_are_clipped_to_the_image(server: Server, portrait: np.ndarray) -> None:
    left = min(faces_of(server, encode(portrait, "PNG")), key=lambda face: face["bbox"][0])
    x1, _, x2, _ = (int(value) for value in left["bbox"])
    cut = np.ascontiguousarray(portrait[:, x1 + (x2 - x1) // 5 :])
    boxes = [face["bbox"] for face in faces_of(server, encode(cut, "PNG"))]
    assert min(box[0] for box in boxes) == 0


def test_the_body_may_be_the_image_itself(server: Server, group: bytes) -> None:
    response = server.client.post("/detect", content=group, headers={"content-type": "image/jpeg"})
    assert len(response.json()["faces"]) == SOLVAY_FACES


def post_batch(server: Server, files: list[bytes], **query: object) -> httpx.Response:
    form = [("files", (f"{index}.jpg", data)) for index, data in enumerate(files)]
    return server.client.post("/detect/batch", files=form, params=query)


def test_a_batch_answers_each_file_in_order(
    server: Server, group: bytes, portrait: np.ndarray
) -> None:
    few = encode(portrait, "PNG")
    none = encode(np.zeros((300, 300, 3), np.uint8), "PNG")

    body = post_batch(server, [few, none, group, few]).json()

    BatchResponse.model_validate(body, strict=True)
    assert [result["file"] for result in body["results"]] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    for result, data in zip(body["results"], [few, none, group, few], strict=True):
        alone = post(server, data).json()
        assert result["status"] == 200
        assert result["image_width"] == alone["image_width"]
        for together, single in zip(result["faces"], alone["faces"], strict=True):
            assert np.dot(together.pop("embedding"), single.pop("embedding")) > 0.99999
            assert together == single


def test_a_bad_file_in_a_batch_costs_only_itself(server: Server, group: bytes) -> None:
    files = [group, b"", b"text", group[: len(group) // 2], group]
    response = post_batch(server, files, max_faces=2, embedding_format="none", attributes=False)
    assert response.status_code == 200
    results = response.json()["results"]
    assert [result["status"] for result in results] == [200, 400, 400, 400, 200]
    assert [len(result["faces"]) for result in results] == [2, 0, 0, 0, 2]
    for result in results[1:4]:
        ErrorResponse.model_validate(result["error"], strict=True)
        assert result["error"]["code"] == "invalid_image"
    only_bad = post_batch(server, [b"text"])
    assert only_bad.status_code == 200
    assert only_bad.json()["results"][0]["status"] == 400


def test_a_batch_has_a_bounded_number_of_files(server: Server) -> None:
    assert_error(post_batch(server, [b"x"] * 33), 400, "invalid_request", "32")
    empty = server.client.post("/detect/batch", files={"file": b"x"})
    assert_error(empty, 400, "invalid_request", "'files'")


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
    assert len(response.json()["faces"]) == SOLVAY_FACES


def test_every_format_is_read_through_the_endpoint(server: Server, portrait: np.ndarray) -> None:
    expected = len(faces_of(server, encode(portrait, "PNG")))
    assert expected > 3
    counts = {name: len(faces_of(server, data)) for name, data in every_dress(portrait).items()}
    for name, count in counts.items():
        # 256 colours may cost a face at the threshold.
        assert expected - ("palette" in name or "gif" in name) <= count <= expected, name


def test_a_rotated_photo_is_seen_upright(server: Server, portrait: np.ndarray) -> None:
    body = post(server, rotated(portrait, 6, "JPEG", quality=95)).json()
    assert (body["image_width"], body["image_height"]) == (800, 500)
    assert len(body["faces"]) == len(faces_of(server, encode(portrait, "JPEG", quality=95)))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2000), (2000, 1), (4000, 6000)])
def test_odd_sizes_have_no_faces(server: Server, height: int, width: int) -> None:
    body = post(server, encode(np.zeros((height, width, 3), np.uint8), "PNG")).json()
    assert body["faces"] == []
    assert (body["image_width"], body["image_height"]) == (width, height)


def test_min_score_and_max_faces_keep_the_best(server: Server, group: bytes) -> None:
    everyone = faces_of(server, group)
    best = faces_of(server, group, max_faces=3)
    # Batches of other sizes may add up in another order.
    assert [face["bbox"] for face in best] == [face["bbox"] for face in everyone[:3]]
    floor = everyone[9]["det_score"]
    assert len(faces_of(server, group, min_score=floor - 1e-6)) == 10
    assert faces_of(server, group, min_score=1) == []


def test_min_face_size_counts_the_shorter_side(server: Server, group: bytes) -> None:
    sides = [
        min(f["bbox"][2] - f["bbox"][0], f["bbox"][3] - f["bbox"][1])
        for f in faces_of(server, group)
    ]
    limit = sorted(sides)[14]
    kept = faces_of(server, group, min_face_size=limit)
    assert len(kept) == sum(side >= limit for side in sides)


def test_filters_act_before_embedding(server: Server, group: bytes) -> None:
    def embedding_ms(**query: object) -> float:
        timing = post(server, group, **query).headers["server-timing"]
        return float(dict(part.split(";dur=") for part in timing.split(", "))["embed"])

    # 29 faces against 1: that the networks were spared, not how fast they are.
    assert embedding_ms(max_faces=1) < embedding_ms() / 3
    assert embedding_ms(min_score=1) < embedding_ms() / 20


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


def test_the_response_names_what_made_it(server: Server, group: bytes, starter: Pack) -> None:
    model = post(server, group).json()["model"]
    assert model["pack"] == "starter"
    assert model["recogniser"] == starter.models["recognition"].sha256
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


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["empty"]),
        (b"just text", ["Invalid image format. Supported: JPEG, PNG, WebP, BMP, TIFF"]),
        (b"<!doctype html><html></html>", ["Invalid image format"]),
        (b"PK\x03\x04" + bytes(100), ["Invalid image format"]),
        (b"\xff\xd8\xff\xe0" + bytes(100), ["JPEG"]),
    ],
    ids=["empty", "text", "html", "zip", "broken"],
)
def test_what_is_not_an_image_is_a_400(server: Server, data: bytes, words: list[str]) -> None:
    assert_error(post(server, data), 400, "invalid_image", *words)
    encoded = {"image_base64": base64.b64encode(data).decode()}
    response = server.client.post("/extract-embedding", json=encoded)
    assert_error(response, 400, "invalid_image", *words)


def test_a_truncated_jpeg_is_a_400(server: Server, group: bytes) -> None:
    assert_error(post(server, group[: len(group) // 2]), 400, "invalid_image", "cut short")


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
        ({"minscore": 0.5}, ["minscore", "not a known option"]),
    ],
    ids=str,
)
def test_bad_parameters_are_a_400_that_names_them(
    server: Server, group: bytes, query: dict[str, object], words: list[str]
) -> None:
    assert_error(post(server, group, **query), 400, "invalid_request", *words)


def test_a_request_without_an_image_is_a_400(server: Server, group: bytes) -> None:
    client = server.client
    assert_error(client.post("/detect"), 400, "invalid_request", "'file'")
    wrong = client.post("/detect", files={"photo": group})
    assert_error(wrong, 400, "invalid_request", "'file'")
    field = client.post("/detect", data={"file": "text"}, files={"other": b"x"})
    assert_error(field, 400, "invalid_request", "'file'")
    text = client.post("/detect", content=group, headers={"content-type": "text/plain"})
    assert_error(text, 400, "invalid_request", "image/*")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"image_base64": 5}', b'{"image_base64": "@@"}', b"\xff\xfe"],
)
def test_a_bad_json_body_is_a_400(server: Server, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = server.client.post("/extract-embedding", content=body, headers=headers)
    assert_error(response, 400, "invalid_request")


def test_errors_of_the_framework_have_the_same_shape(server: Server) -> None:
    assert_error(server.client.get("/nowhere"), 404, "not_found")
    response = server.client.get("/detect")
    assert_error(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"
    broken = server.client.post(
        "/detect",
        content=b"--x\r\nrubbish",
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert_error(broken, 400, "invalid_request")


def test_limits_are_413(start_server: Callable[..., Server], group: bytes) -> None:
    small = start_server(MAX_BODY_MB="0.6", MAX_IMAGE_PIXELS="1000000")
    small.wait_until_ready()
    assert_error(post(small, group), 413, "too_large", "1200x868", "1000000")
    assert_error(post(small, bytes(700_000)), 413, "too_large", "600,000 bytes")

    def chunks() -> object:
        for _ in range(90):
            yield bytes(10_000)

    undeclared = small.client.post(
        "/detect", content=chunks(), headers={"content-type": "image/png"}
    )
    assert_error(undeclared, 413, "too_large", "600,000 bytes")
    assert small.client.get("/health").status_code == 200


def test_health_has_the_specified_fields(server: Server) -> None:
    response = server.client.get("/health")
    assert response.status_code == 200
    body = response.json()
    HealthResponse.model_validate(body, strict=True)
    assert {key: body[key] for key in list(body)[:5]} == {
        "status": "healthy",
        "version": "0.1.0",
        "model": "starter",
        "onnx_providers": ["CPUExecutionProvider"],
        "embedding_dimension": 512,
    }
    assert server.client.get("/health/live").json() == {"status": "alive"}
    assert server.client.get("/health/ready").json() == {"status": "healthy"}


def test_models_lists_the_loaded_and_the_known_packs(server: Server, starter: Pack) -> None:
    body = ModelsResponse.model_validate(server.client.get("/models").json(), strict=True)
    assert body.loaded is not None
    assert body.loaded.name == "starter"
    assert {file.sha256 for file in body.loaded.files} == {
        model.sha256 for model in starter.models.values()
    }
    names = [pack.name for pack in body.known]
    assert names == ["buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2", "starter"]
    assert all("non-commercial" in pack.licence for pack in body.known)
    assert body.loaded.same_person_threshold == 0.275
    assert body.loaded.false_match_rate == 0.0052
    for pack in body.known[:-1]:
        assert (pack.same_person_threshold, pack.threshold_measured_on) == (0.6, None)
        assert pack.false_match_rate is None


def test_parallel_requests_do_not_mix_their_faces(
    server: Server, group: bytes, portrait: np.ndarray
) -> None:
    few = encode(portrait[:250], "PNG")
    pictures = {SOLVAY_FACES: group, len(faces_of(server, few)): few}
    assert len(pictures) == 2
    expected = {n: [f["bbox"] for f in faces_of(server, data)] for n, data in pictures.items()}
    jobs = list(pictures) * 8
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: (n, faces_of(server, pictures[n])), jobs))
    for count, faces in answers:
        assert [face["bbox"] for face in faces] == expected[count]


def test_the_log_has_the_lines_of_the_specification(server: Server, group: bytes) -> None:
    post(server, group)
    log = server.log()
    assert " - INFO - Available ONNX providers: [" in log
    assert " - INFO - Using ONNX providers: ['CPUExecutionProvider']" in log
    assert " - face_service.face_engine - INFO - FaceEngine initialized with model: starter" in log
    assert " - face_service.routes.detect - INFO - Detected 29 faces in " in log


def test_not_ready_until_the_models_are_warm(
    start_server: Callable[..., Server], group: bytes
) -> None:
    starting = start_server()
    states = []
    while not states or states[-1][0] != 200:
        try:
            health = starting.client.get("/health")
        except httpx.TransportError:
            time.sleep(0.01)
            continue
        states.append((health.status_code, health.json()["status"]))
        if health.status_code == 503:
            assert starting.client.get("/health/live").status_code == 200
            refused = post(starting, group)
            if refused.status_code != 200:  # it may have become ready in between
                assert_error(refused, 503, "not_ready", "starting")
                assert int(refused.headers["retry-after"]) > 0
    assert states[0] == (503, "starting")
    assert states[-1] == (200, "healthy")


def test_the_schema_names_every_endpoint(server: Server) -> None:
    schema = server.client.get("/openapi.json").json()
    assert {
        "/health",
        "/health/live",
        "/health/ready",
        "/detect",
        "/detect/batch",
        "/compare",
        "/extract-embedding",
        "/models",
    } <= set(schema["paths"])
    options = {parameter["name"] for parameter in schema["paths"]["/detect"]["post"]["parameters"]}
    assert options == {
        "min_score",
        "max_faces",
        "min_face_size",
        "embedding_format",
        "attributes",
        "landmarks",
        "quality",
    }
    assert "422" not in json.dumps(list(schema["paths"]["/detect"]["post"]["responses"]))
