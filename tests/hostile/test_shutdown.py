"""SIGTERM ends the process in time, whatever it is busy with and whoever holds on."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import httpx
import numpy as np
import pytest

from tests.hostile.sockets import answers
from tests.images import encode
from tests.server import ONE_THREAD, Server
from tests.wire import metric, settled

REQUEST_TIMEOUT_S = 3.0
END_S = 5.0
"""Promised by docs/reliability.md, beyond DRAIN_GRACE_S and REQUEST_TIMEOUT_S."""
SETTINGS = {
    "REQUEST_TIMEOUT_S": f"{REQUEST_TIMEOUT_S:g}",
    "STALL_TIMEOUT_S": "600",
    "DRAIN_GRACE_S": "0",
    "MAX_QUEUE": "8",
    **ONE_THREAD,  # another worker would answer while an engine hangs
}


@pytest.fixture(scope="module")
def photo(solvay: object) -> bytes:
    return encode(cv2.resize(cv2.imread(str(solvay)), (600, 434)), "JPEG")


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


@contextlib.contextmanager
def requests(server: Server, body: bytes, count: int) -> Iterator[None]:
    """So many requests that are inside; each gets an answer."""
    headers = {"Content-Type": "application/octet-stream"}

    def post() -> int:
        answer = httpx.post(f"{server.url}/detect", content=body, headers=headers, timeout=60)
        return answer.status_code

    with ThreadPoolExecutor(count) as clients:
        waiting = [clients.submit(post) for _ in range(count)]
        settled(lambda: metric(server, "face_service_requests_inside") == count)
        yield
        assert {one.result() for one in waiting} <= {200, 504}


@contextlib.contextmanager
def engine_hangs(server: Server, photo: bytes) -> Iterator[None]:
    fault = server.folder / "fault"
    fault.write_text("hang")
    with requests(server, photo, 2):
        settled(lambda: not fault.exists())
        yield


@contextlib.contextmanager
def decoders_hang(server: Server, photo: bytes) -> Iterator[None]:
    with requests(server, encode(np.zeros((40, 56, 3), np.uint8), "BMP"), 2):
        yield


@contextlib.contextmanager
def queue_is_full(server: Server, photo: bytes) -> Iterator[None]:
    (server.folder / "fault").write_text("slow")
    with requests(server, photo, 8):
        yield


@contextlib.contextmanager
def upload_drips(server: Server, photo: bytes) -> Iterator[None]:
    head = b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\ncontent-length: 99999"
    with connect(server) as connection:
        connection.sendall(head + b"\r\n\r\n\xff\xd8")
        settled(lambda: metric(server, "face_service_requests_inside") == 1)
        yield
        (answer,) = answers(connection.recv(65536))
        assert answer.status == 504


def test_a_request_of_the_last_moment_has_its_time_beyond_the_grace(
    start_small_server: Callable[..., Server], photo: bytes
) -> None:
    grace = 2.0
    server = start_small_server(**SETTINGS | {"DRAIN_GRACE_S": f"{grace:g}"})
    server.wait_until_ready()
    server.process.terminate()
    started = time.monotonic()
    settled(lambda: server.client.get("/health/ready").status_code == 503, 10)
    with upload_drips(server, photo):
        assert server.wait_until_ended(120) == 0, server.log()
        assert time.monotonic() - started < grace + REQUEST_TIMEOUT_S + END_S


@contextlib.contextmanager
def reader_stops(server: Server, photo: bytes) -> Iterator[None]:
    """Its answers are more than the kernel takes."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        get = b"GET /static/docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\n\r\n"
        connection.sendall(get * 10)
        settled(lambda: metric(server, "face_service_body_bytes") > 0)
        yield


BUSY = {
    "an engine hangs": ("tests.faulty", engine_hangs),
    "decoders hang": ("tests.hostile.slow_decoder", decoders_hang),
    "the queue is full": ("tests.faulty", queue_is_full),
    "an upload drips": ("face_service.main", upload_drips),
    "a reader stops": ("face_service.main", reader_stops),
}


@pytest.mark.parametrize(("module", "busy"), BUSY.values(), ids=BUSY)
def test_sigterm_ends_the_process_in_time(
    start_small_server: Callable[..., Server],
    photo: bytes,
    module: str,
    busy: Callable[[Server, bytes], contextlib.AbstractContextManager[None]],
) -> None:
    server = start_small_server(module, **SETTINGS)
    server.wait_until_ready()
    with busy(server, photo):
        server.process.terminate()
        started = time.monotonic()
        assert server.wait_until_ended(120) == 0, server.log()
        assert time.monotonic() - started < REQUEST_TIMEOUT_S + END_S
