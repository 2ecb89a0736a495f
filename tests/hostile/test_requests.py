"""Requests that are no HTTP, without an end, or slow: each a clean error or a closed connection."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from face_service.http.protocol import MAX_HEADER_BYTES
from tests.hostile.sockets import talk
from tests.images import encode
from tests.server import Server
from tests.wire import metric, settled


@pytest.fixture(scope="module")
def target(start_small_server: Callable[..., Server]) -> Iterator[Server]:
    server = start_small_server(MAX_BODY_MB="8", REQUEST_TIMEOUT_S="20", LOG_LEVEL="WARNING")
    server.wait_until_ready()
    yield server
    server.stop_unharmed()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"POST /detect HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /health HTTP/1.1\r\nbad header\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_malformed_http_has_the_one_error_shape(target: Server, request_bytes: bytes) -> None:
    answer = talk(target, request_bytes)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request"), answer
    assert set(json.loads(body)) == {"detail", "code", "request_id"}


def test_a_flood_of_headers_is_cut_off(target: Server) -> None:
    flood = [
        b"GET /health HTTP/1.1\r\n",
        *[b"x-%d: " % n + b"y" * 9000 + b"\r\n" for n in range(99)],
    ]
    assert talk(target, *flood).startswith(b"HTTP/1.1 431")


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(b"".join(b"x-%d: y\r\n" % n for n in range(7000)), id="many"),
        pytest.param(b"x" * 65536, id="one"),
    ],
)
@pytest.mark.parametrize("path", [b"/detect", b"/health"])
def test_a_flood_of_trailers_is_cut_off(target: Server, path: bytes, piece: bytes) -> None:
    head = (
        b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\n"
        b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" % path
    )
    with (
        socket.create_connection(("127.0.0.1", target.port), timeout=25) as connection,
        pytest.raises((BrokenPipeError, ConnectionResetError)),
    ):
        connection.sendall(head)
        for _ in range(500):
            connection.sendall(piece)


def test_a_body_in_tiny_chunks_is_no_flood(target: Server) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (100, 100, 3), np.uint8)
    data = encode(noise, "PNG")
    assert 5 * len(data) > 2 * MAX_HEADER_BYTES  # "1\r\n" and "\r\n" around each byte
    pieces = (data[n : n + 1] for n in range(len(data)))
    headers = {"Content-Type": "image/png"}
    assert target.client.post("/detect", content=pieces, headers=headers).status_code == 200


def headers_drip(server: Server) -> bool:
    """Whether the connection is closed within 25 s."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        while time.monotonic() - started < 25:
            try:
                connection.sendall(b"x: y\r\n")
                time.sleep(0.5)
            except (BrokenPipeError, ConnectionResetError):
                return True
    return False


def nothing_is_sent(server: Server) -> bool:
    """Whether the connection is closed within 25 s."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=25) as connection:
        try:
            return connection.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


@pytest.fixture(scope="module")
def closed(target: Server) -> dict[str, bool]:
    """Whether connections without whole headers are closed. Both are waited for at once."""
    with ThreadPoolExecutor(2) as clients:
        drip, silent = clients.submit(headers_drip, target), clients.submit(nothing_is_sent, target)
        return {"drip": drip.result(), "silent": silent.result()}


def test_headers_that_drip_are_cut_off(closed: dict[str, bool]) -> None:
    assert closed["drip"], "a drip kept the connection for 25 s"


def test_connections_that_say_nothing_are_closed(closed: dict[str, bool]) -> None:
    assert closed["silent"], "silence kept the connection for 25 s"


def test_a_body_that_drips_has_its_deadline(start_server: Callable[..., Server]) -> None:
    server = start_server(REQUEST_TIMEOUT_S="1")
    server.wait_until_ready()
    head = (
        b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\n"
        b"content-length: 99999\r\n\r\n"
    )
    answer = talk(server, head, *[b"\x89"] * 30, pause=0.1)
    assert answer.startswith(b"HTTP/1.1 504"), answer
    settled(lambda: metric(server, "face_service_requests_inside") == 0)
    server.stop()
