"""The log of a service that runs: one line a request that says everything but what was sent."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import logging
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from face_service.app import create_app
from face_service.config import Settings
from tests.images import encode
from tests.server import Server
from tests.wire import CONSOLE, entries, settled

KEY = "a-key-that-is-long-and-random"
SECRET_NAME = "grandmother-1953"
PIPE_SIZE = 4096


def post(server: Server, data: bytes, request_id: str, **more: Any) -> httpx.Response:
    headers = {"X-Request-ID": request_id, "Authorization": f"Bearer {KEY}", **more}
    file = (f"{SECRET_NAME}\n2024.jpg", data, "image/jpeg")
    return server.client.post("/detect", files={"file": file}, headers=headers)


@pytest.fixture(scope="module")
def spoken(
    start_small_server: Callable[..., Server], four_faces: Path
) -> tuple[list[dict[str, Any]], list[str]]:
    """The log of a JSON service that was asked everything, and what faces it answered."""
    server = start_small_server(
        LOG_FORMAT="json",
        API_KEYS=sha256(KEY.encode()).hexdigest(),
        MAX_BODY_MB="6",
        MAX_IMAGE_PIXELS="10000000",
        REQUEST_TIMEOUT_S="5",
    )
    server.wait_until_ready()
    photo, key = four_faces.read_bytes(), {"Authorization": f"Bearer {KEY}"}
    answer = post(server, photo, "good")
    assert answer.status_code == 200
    post(server, b"not an image " + SECRET_NAME.encode(), "no-image")
    post(server, b"x" * 6_100_000, "too-large")
    post(server, photo, "no-key", Authorization=f"Bearer {SECRET_NAME}")
    server.client.get(f"/{SECRET_NAME}?{SECRET_NAME}=1", headers={**key, "X-Request-ID": "nowhere"})
    server.client.post(
        "/extract-embedding",
        json={"image_base64": base64.b64encode(photo).decode()},
        headers={**key, "X-Request-ID": "base64"},
    )
    server.client.post(
        "/detect/batch",
        files=[("files", (SECRET_NAME, photo)), ("files", (SECRET_NAME, b"x"))],
        headers={**key, "X-Request-ID": "batch"},
    )
    server.client.get("/models", headers={**key, "X-Request-ID": "models"})
    made = server.client.get("/models", headers={**key, "X-Request-ID": 'a"b\\c d'})
    assert re.fullmatch(r"[0-9a-f]{32}", made.headers["x-request-id"])
    for path in ("/health", "/health/live", "/health/ready", "/metrics"):
        server.client.get(path, headers={**key, "X-Request-ID": "probe"})
    server.client.post("/health", headers={**key, "X-Request-ID": "no-probe"})
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nbad header\r\n\r\n")
        connection.recv(100)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\n"
            b"x-request-id: gone\r\nauthorization: Bearer %s\r\ncontent-length: 99\r\n\r\nx"
            % KEY.encode()
        )
    settled(lambda: '"gone"' in server.log())
    assert server.stop() == 0
    embeddings = [
        str(number)[:8] for face in answer.json()["faces"] for number in face["embedding"]
    ]
    return entries(server.log()), embeddings


def of(spoken: tuple[list[dict[str, Any]], list[str]], request_id: str) -> dict[str, Any]:
    """The one line of a request."""
    (entry,) = (entry for entry in spoken[0] if entry.get("request_id") == request_id)
    return entry


def test_the_line_of_a_request_says_everything(spoken: Any) -> None:
    entry = of(spoken, "good")
    assert re.fullmatch(r"Detected 4 faces in \d+\.\d\dms", entry["message"])
    assert entry["logger"] == "face_service.routes.detect"
    assert entry["level"] == "info"
    stages = [
        *("decode", "queue", "detect", "align", "quality", "embed", "attributes"),
        "serialise",
    ]
    numbers = {f"{stage}_ms" for stage in stages} | {"duration_ms"}
    assert all(isinstance(entry[name], float) for name in numbers)
    computed = sum(entry[f"{stage}_ms"] for stage in stages)
    assert 0 < computed <= entry["duration_ms"]
    assert entry["bytes_in"] > 30_000
    assert entry["bytes_out"] > 15_000
    told = {"method": "POST", "endpoint": "/detect", "status": 200, "faces": 4, "images": 1}
    assert told.items() <= entry.items()


@pytest.mark.parametrize(
    ("request_id", "told"),
    [
        ("no-image", {"endpoint": "/detect", "status": 400, "code": "invalid_image"}),
        ("too-large", {"endpoint": "/detect", "status": 413, "code": "too_large"}),
        ("no-key", {"endpoint": "other", "status": 401, "code": "unauthorized"}),
        ("nowhere", {"endpoint": "other", "status": 404, "code": "not_found"}),
        ("gone", {"endpoint": "/detect", "status": 499}),
        ("no-probe", {"endpoint": "/health", "status": 405, "message": "Refused"}),
        ("base64", {"endpoint": "/extract-embedding", "status": 200, "faces": 4}),
        ("batch", {"endpoint": "/detect/batch", "status": 200, "faces": 4, "images": 1}),
        ("models", {"endpoint": "/models", "status": 200, "method": "GET"}),
    ],
)
def test_every_request_has_one_line(spoken: Any, request_id: str, told: dict[str, Any]) -> None:
    entry = of(spoken, request_id)
    assert told.items() <= entry.items()
    assert {"message", "duration_ms", "bytes_in", "bytes_out"} <= set(entry)


def test_a_batch_says_how_many_images_it_had(spoken: Any) -> None:
    assert of(spoken, "batch")["message"].startswith("Detected 4 faces in 2 images in ")


def test_what_is_no_http_has_its_line(spoken: Any) -> None:
    (entry,) = (entry for entry in spoken[0] if entry.get("code") == "bad_request")
    assert (entry["message"], entry["status"]) == ("Refused", 400)
    assert re.fullmatch(r"[0-9a-f]{32}", entry["request_id"])
    assert "Invalid HTTP" not in json.dumps(spoken[0]), "said twice"


def test_probes_do_not_flood_the_log(spoken: Any) -> None:
    assert not [entry for entry in spoken[0] if entry.get("request_id") == "probe"]


def test_a_service_that_starts_alarms_nobody(server: Server) -> None:
    """/health says 503 until the models are warm, and whoever started it asks all the time."""
    lines = [line for line in server.log().splitlines() if "endpoint=/health" in line]
    assert lines
    assert all(" - INFO - Answered " in line and "status=503" in line for line in lines)


def test_the_server_speaks_the_same_language(spoken: Any) -> None:
    loggers = {entry["logger"] for entry in spoken[0]}
    assert {"uvicorn.error", "face_service.face_engine", "face_service.request"} <= loggers
    assert all({"timestamp", "level", "logger", "message"} <= set(entry) for entry in spoken[0])


def test_nothing_that_was_sent_is_in_the_log(spoken: Any) -> None:
    text = json.dumps(spoken[0])
    assert SECRET_NAME not in text
    assert KEY not in text
    assert sha256(KEY.encode()).hexdigest() not in text
    assert not [number for number in spoken[1] if number in text]
    longest = max(len(str(value)) for entry in spoken[0] for value in entry.values())
    assert longest < 300


def test_a_failure_has_its_traceback_and_its_request(
    start_small_server: Callable[..., Server], four_faces: Path
) -> None:
    server = start_small_server("tests.faulty", LOG_FORMAT="json", DRAIN_GRACE_S="0")
    server.wait_until_ready()
    (server.folder / "fault").write_text("raise")
    assert post(server, four_faces.read_bytes(), "unlucky").status_code == 500
    (server.folder / "fault").unlink()
    server.stop()
    cause, line = (e for e in entries(server.log()) if e.get("request_id") == "unlucky")
    assert (cause["level"], cause["message"]) == ("error", "Inference failed")
    assert cause["exception"].startswith("Traceback")
    assert "CUDA failure 700" in cause["exception"]
    assert (line["level"], line["message"], line["status"]) == ("error", "Failed", 500)
    assert line["code"] == "inference_failed"
    assert line["decode_ms"] > 0


def test_what_nobody_expected_is_one_line_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = create_app(Settings(_env_file=None))

    @app.get("/surprise")
    async def surprise() -> None:
        raise RuntimeError("nobody expected this")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return await client.get("/surprise", headers={"X-Request-ID": "unlucky"})

    with caplog.at_level(logging.INFO, "face_service"):
        response = asyncio.run(ask())
    app.state.service.close()
    assert response.status_code == 500
    assert response.headers["x-request-id"] == "unlucky"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.json() == {
        "detail": "The service failed on this request",
        "code": "internal_error",
        "request_id": "unlucky",
    }
    (told,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert "nobody expected this" in str(told.exc_info)


def test_debug_is_for_this_service_alone(start_small_server: Callable[..., Server]) -> None:
    """At DEBUG, Pillow writes down the tags of every TIFF it opens."""
    server = start_small_server(LOG_LEVEL="DEBUG", DRAIN_GRACE_S="0")
    server.wait_until_ready()
    tags = Image.Exif()
    tags[0x010E] = SECRET_NAME
    picture = encode(np.zeros((64, 64, 3), np.uint8), "TIFF", exif=tags)
    assert SECRET_NAME.encode() in picture
    assert post(server, picture, "tagged").status_code == 200
    server.stop()
    log = server.log()
    assert "/health" in log, "probes are told at DEBUG"
    assert SECRET_NAME not in log
    assert {line.split(" - ")[1].split(".")[0] for line in log.splitlines()} == {
        "face_service",
        "uvicorn",
    }
    assert all(CONSOLE.fullmatch(line) for line in log.splitlines())


@pytest.fixture
def narrow_pipe() -> Iterator[tuple[int, int]]:
    """A pipe that holds a dozen lines."""
    reading, writing = os.pipe()
    assert fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_SIZE) == PIPE_SIZE
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_a_log_that_nobody_reads_stops_nothing(
    start_small_server: Callable[..., Server],
    four_faces: Path,
    narrow_pipe: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    popen = subprocess.Popen
    monkeypatch.setattr(
        "tests.server.subprocess.Popen",
        lambda *args, **kwargs: popen(*args, **{**kwargs, "stderr": narrow_pipe[1]}),
    )
    server = start_small_server(forked=False, DRAIN_GRACE_S="0")
    server.wait_until_ready()
    small = encode(np.zeros((64, 64, 3), np.uint8), "PNG")
    for n in range(2 * PIPE_SIZE // 200):  # each line is longer than 200 characters
        assert post(server, small, f"frame-{n}").status_code == 200
    assert server.client.get("/health").status_code == 200
    assert server.stop() == 0
    assert len(os.read(narrow_pipe[0], 10 * PIPE_SIZE)) > PIPE_SIZE // 2
