"""API keys, CORS and the headers of every answer."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from face_service.config import load_settings
from face_service.errors import StartupError
from tests.server import Server

KEYS = ("first-key-of-the-backend", "second-key-of-somebody")


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture(scope="module")
def locked(start_small_server: Callable[..., Server]) -> Iterator[Server]:
    server = start_small_server(
        API_KEYS=", ".join(map(sha256, KEYS)), CORS_ORIGINS="https://app.example.com"
    )
    server.wait_until_ready()
    yield server
    assert not any(key in server.log() for key in (*KEYS, sha256(KEYS[0])))
    server.stop()


@pytest.mark.parametrize(
    "path", ["/models", "/metrics", "/detect", "/nothing", "/static/demo/nothing.js"]
)
def test_without_a_key_there_is_nothing_to_see(locked: Server, path: str) -> None:
    response = locked.client.get(path)
    assert response.status_code == 401
    assert response.json()["code"] == "unauthorized"
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEYS[0]}"},
        {"authorization": f"bearer {KEYS[1]}"},
        {"X-API-Key": KEYS[1]},
    ],
)
def test_each_key_opens(locked: Server, headers: dict[str, str], four_faces: Path) -> None:
    assert locked.client.get("/models", headers=headers).status_code == 200
    answer = locked.client.post(
        "/detect", files={"file": four_faces.read_bytes()}, headers=headers, timeout=60
    )
    assert len(answer.json()["faces"]) == 4


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {KEYS[0]}x"},
        {"Authorization": f"Basic {KEYS[0]}"},
        {"Authorization": f"Bearer {sha256(KEYS[0])}"},
        {"X-API-Key": "\xe9"},
    ],
)
def test_other_keys_do_not(locked: Server, headers: dict[str, str]) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    assert locked.client.get("/models", headers=raw).status_code == 401


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
def test_health_needs_no_key(locked: Server, path: str) -> None:
    assert locked.client.get(path).status_code == 200


def test_the_pages_need_no_key_and_hold_nothing(locked: Server, server: Server) -> None:
    for path in ("/", "/docs", "/redoc", "/openapi.json", "/static/demo/app.js"):
        answer = locked.client.get(path)
        assert answer.status_code == 200, path
        assert answer.content == server.client.get(path).content, "the same for everybody"


@pytest.mark.parametrize(
    "path",
    ["/static/../models", "/static/demo/../../metrics", "/docs/../models", "//models", "/%6dodels"],
)
def test_no_spelling_of_a_path_goes_round_the_key(locked: Server, path: str) -> None:
    with socket.create_connection(("127.0.0.1", locked.port), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert connection.recv(20).startswith(b"HTTP/1.1 401")


def test_the_key_is_asked_for_before_the_body(locked: Server) -> None:
    with socket.create_connection(("127.0.0.1", locked.port), timeout=10) as connection:
        connection.sendall(
            b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\n"
            b"content-length: 9999999\r\n\r\n"
        )
        assert connection.recv(20).startswith(b"HTTP/1.1 401")


def test_a_page_of_a_known_origin_may_call_and_no_other(locked: Server, server: Server) -> None:
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    known = locked.client.options("/detect", headers={"Origin": "https://app.example.com", **ask})
    assert known.status_code == 200
    assert known.headers["access-control-allow-origin"] == "https://app.example.com"
    other = locked.client.options("/detect", headers={"Origin": "https://evil.example", **ask})
    assert "access-control-allow-origin" not in other.headers
    unset = server.client.get("/health", headers={"Origin": "https://app.example.com"})
    assert "access-control-allow-origin" not in unset.headers


def test_every_answer_has_safe_headers(server: Server) -> None:
    for path in ("/health", "/models", "/nothing"):
        headers = server.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
    assert "default-src 'none'" in server.client.get("/docs").headers["content-security-policy"]


def test_metrics_can_be_closed(start_small_server: Callable[..., Server]) -> None:
    server = start_small_server(METRICS="false")
    server.wait_until_ready()
    assert server.client.get("/metrics").status_code == 404
    server.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_an_open_port_is_said_once(start_small_server: Callable[..., Server], host: str) -> None:
    server = start_small_server(HOST=host)
    server.wait_until_ready()
    server.client.get("/models")
    assert server.log().count("without API_KEYS") == (0 if host == "127.0.0.1" else 1)
    server.stop()


def test_a_key_in_place_of_its_hash_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("API_KEYS", "hunter2")
    with pytest.raises(StartupError) as caught:
        load_settings()
    assert "SHA-256" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_command_makes_a_key_and_its_hash() -> None:
    run = [sys.executable, "-c", "from face_service.cli import main; main()", "key"]
    first, second = (subprocess.run(run, capture_output=True, text=True) for _ in range(2))
    made = dict(line.split() for line in first.stdout.splitlines())
    assert made["hash"] == sha256(made["key"])
    assert len(made["key"]) >= 43, "32 random bytes"
    assert first.stdout != second.stdout
