"""What the service says of itself: its health, its models, its endpoints, its log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import httpx

from face_service.packs.pack import Pack
from face_service.schemas import HealthResponse, ModelsResponse
from tests.server import Server
from tests.wire import settled

from .conftest import assert_error, post


def test_health_has_the_specified_fields(server: Server) -> None:
    response = server.client.get("/health")
    assert response.status_code == 200
    body = response.json()
    HealthResponse.model_validate(body, strict=True)
    assert {key: body[key] for key in list(body)[:5]} == {
        "status": "healthy",
        "version": "0.1.0",
        "model": "open",
        "onnx_providers": ["CPUExecutionProvider"],
        "embedding_dimension": 512,
    }
    assert server.client.get("/health/live").json() == {"status": "alive"}
    assert server.client.get("/health/ready").json() == {"status": "healthy"}


def test_models_lists_the_loaded_and_the_known_packs(server: Server, open_pack: Pack) -> None:
    response = server.client.get("/models")
    body, raw = ModelsResponse.model_validate_json(response.content, strict=True), response.json()
    assert body.loaded is not None
    assert body.loaded.name == "open"
    assert {file.sha256 for file in body.loaded.files} == {
        model.sha256 for model in open_pack.models.values()
    }
    names = [pack.name for pack in body.known]
    assert names == [
        "buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc", "antelopev2", "starter", "open",
        "auraface",
    ]  # fmt: skip
    commercial = {pack.name for pack in body.known if "non-commercial" not in pack.licence}
    assert commercial == {"open", "auraface"}
    assert body.loaded.threshold.similarity == raw["loaded"]["same_person_threshold"] == 0.275
    assert body.loaded.threshold.false_match_rate == raw["loaded"]["false_match_rate"] == 0.0051
    points = body.loaded.operating_points
    assert points and points.similarity_at(0.001) == 0.342
    for pack, fields in zip(body.known[:5], raw["known"], strict=False):
        assert pack.threshold.similarity is pack.operating_points is None
        assert (fields["same_person_threshold"], fields["threshold_measured_on"]) == (0.6, None)


def test_the_log_has_the_lines_of_the_specification(server: Server, group: bytes) -> None:
    post(server, group)
    # The log is written beside the answer.
    settled(lambda: " - face_service.routes.detect - INFO - Detected 4 faces in " in server.log())
    log = server.log()
    assert " - INFO - Available ONNX providers: [" in log
    assert " - INFO - Using ONNX providers: ['CPUExecutionProvider']" in log
    assert " - face_service.face_engine - INFO - FaceEngine initialized with model: open" in log


def test_not_ready_until_the_models_are_warm(
    start_small_server: Callable[..., Server], group: bytes
) -> None:
    starting = start_small_server()
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
        "/embed",
        "/group",
        "/models",
    } <= set(schema["paths"])
    options = {parameter["name"] for parameter in schema["paths"]["/detect"]["post"]["parameters"]}
    assert options == {
        "min_score",
        "max_faces",
        "order",
        "min_face_size",
        "det_size",
        "detail",
        "rotations",
        "embedding_format",
        "attributes",
        "landmarks",
        "quality",
        "crops",
    }
    assert "422" not in json.dumps(list(schema["paths"]["/detect"]["post"]["responses"]))
