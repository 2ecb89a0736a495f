"""Requests that wait for longer than anything else may take: what comes behind them, a process
that is stopped meanwhile, many bodies at once."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest

from face_service.http.connection_state import Timeouts
from tests.hostile.sockets import Answer, answers, receive
from tests.images import encode
from tests.server import ONE_THREAD, Server
from tests.wire import metric, settled

SMALL = encode(np.zeros((64, 64, 3), np.uint8), "JPEG")
POST = (
    b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\ncontent-length: %d\r\n\r\n%b"
    % (len(SMALL), SMALL)
)
INSIDE = "face_service_requests_inside"
BEHIND = {
    "line end": b"\r\n",
    "half a line end": b"\r",
    "half of the next headers": b"GET /health/live HTTP/1.1\r\nho",
}


def inside(server: Server) -> float:
    """Requests that have a place in the service."""
    lines = server.client.get("/metrics", headers={"X-API-Key": "key"}).text.splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith(f"{INSIDE} "))
    return float(value)


def faulty(start_server: Callable[..., Server], **variables: str) -> Server:
    """A server whose one engine fails as the file `fault` says."""
    server = start_server("tests.faulty", **ONE_THREAD, **variables)
    server.wait_until_ready()
    return server


def test_what_comes_behind_a_request_that_waits_does_not_cost_its_answer(
    start_server: Callable[..., Server],
) -> None:
    """An engine that hangs keeps them waiting for longer than headers may take."""
    longer = Timeouts().headers + 4
    server = faulty(start_server, STALL_TIMEOUT_S=str(longer), REQUEST_TIMEOUT_S="120")
    (server.folder / "fault").write_text("hang")
    started = time.monotonic()
    with ExitStack() as stack:
        connections = {
            name: stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 60))
            for name in BEHIND
        }
        for connection in connections.values():
            connection.sendall(POST)
        settled(lambda: inside(server) == len(BEHIND))
        for name, connection in connections.items():
            connection.sendall(BEHIND[name])
        statuses = {name: receive(connection).status for name, connection in connections.items()}
        assert time.monotonic() - started > Timeouts().headers, "nothing has waited"
        assert set(statuses.values()) <= {200, 500}, statuses  # 500: it was inside the engine
    server.stop()


def early_answer(server: Server, *headers: bytes) -> Answer:
    """That to 10 MB on a connection that ends with it; all is sent before anything is read."""
    lines = (b"POST /detect HTTP/1.1", b"host: x", b"content-type: image/jpeg", *headers)
    head = b"\r\n".join([*lines, b"connection: close", b"content-length: 10000000", b"", b""])
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        connection.sendall(head + bytes(10_000_000))
        received = b""
        while data := connection.recv(65536):
            received += data
    (answer,) = answers(received)
    return answer


def listens(server: Server) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", server.port)).close()
        return True
    return False


def test_every_early_answer_is_read_before_the_connection_ends(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    """As 413 is, whose test is in test_connections.py."""
    server = start_server(API_KEYS=hashlib.sha256(b"key").hexdigest(), MAX_QUEUE="1")
    server.wait_until_ready()
    key = b"x-api-key: key"
    seen = [early_answer(server) for _ in range(5)]
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as holder:
            holder.sendall(POST.replace(b"\r\n", b"\r\n%b\r\n" % key, 1)[:-10])
            settled(lambda: inside(server) == 1)
            seen.append(early_answer(server, key))
        settled(lambda: inside(server) == 0)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # where the pack should come from
        starting = start_server(
            INSIGHTFACE_MODEL="buffalo_l",
            MODEL_CACHE_DIR=str(tmp_path),
            MODEL_MIRROR=f"http://127.0.0.1:{silent.getsockname()[1]}",
        )
        settled(lambda: listens(starting))
        seen += [early_answer(starting) for _ in range(5)]
    assert [answer.status for answer in seen] == [401] * 5 + [429] * 5 + [503] * 5
    assert [answer.json["code"] for answer in seen[::5]] == [
        "unauthorized", "overloaded", "not_ready"
    ]  # fmt: skip
    server.process.terminate()
    assert server.wait_until_ended() == 0


def test_garbage_in_the_middle_of_an_answer_stays_out_of_it(server: Server) -> None:
    path = "/static/docs/swagger-ui-bundle.js"
    whole = server.client.get(path).content
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % path.encode())
        received = connection.recv(1000)
        connection.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        time.sleep(0.5)
        while data := connection.recv(1 << 20):
            received += data
    answer, *more = answers(received)
    assert (answer.status, answer.body) == (200, whole)
    # Buffers of the system may have taken the whole answer before the garbage came.
    assert [one.status for one in more] in ([], [400])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
def test_a_process_that_was_stopped_loses_no_engine(start_server: Callable[..., Server]) -> None:
    """As `docker pause` does, in the middle of a run of a network that goes on afterwards."""
    server = faulty(start_server, STALL_TIMEOUT_S="4", REQUEST_TIMEOUT_S="60")
    (server.folder / "fault").write_text("busy")
    with ThreadPoolExecutor(1) as client:
        url, headers = f"{server.url}/detect", {"Content-Type": "image/jpeg"}
        pending = client.submit(httpx.post, url, content=SMALL, headers=headers, timeout=60)
        settled(lambda: inside(server) == 1)
        time.sleep(0.5)
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(6)
        os.kill(server.process.pid, signal.SIGCONT)
        assert pending.result().status_code == 200
    assert metric(server, "face_service_engines_lost_total") == 0
    assert server.client.get("/health").status_code == 200
    (server.folder / "fault").unlink()
    assert server.stop() == 0


def resident(server: Server) -> float:
    """What the process holds, in MB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1e3


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_of_json_that_waits_the_image_alone_is_in_memory(
    start_server: Callable[..., Server],
) -> None:
    """Neither its body nor its text, which are a third larger each. For more workers, more images
    would be prepared."""
    server = faulty(
        start_server,
        STALL_TIMEOUT_S="60",
        REQUEST_TIMEOUT_S="120",
        DRAIN_GRACE_S="0",
    )
    size, number = 12_000_000, 8
    image = SMALL + bytes(size - len(SMALL))
    body = json.dumps({"image_base64": base64.b64encode(image).decode()}).encode()

    sent = threading.Semaphore(0)

    def pieces() -> Iterator[bytes]:
        yield body
        sent.release()

    def post() -> int:
        answer = httpx.post(
            f"{server.url}/extract-embedding",
            content=pieces(),
            headers={"Content-Type": "application/json"},
            timeout=120,
        )
        return answer.status_code

    assert post() == 200
    before = resident(server)
    (server.folder / "fault").write_text("hang")
    with ThreadPoolExecutor(number) as clients:
        pending = [clients.submit(post) for _ in range(number)]
        try:
            for _ in range(1 + number):
                assert sent.acquire(timeout=60)
            time.sleep(3)  # to read and decode what is in the sockets
            # What has been freed goes back to the system every ten seconds.
            settled(lambda: resident(server) - before < 1.25 * number * size / 1e6)
        finally:
            server.process.kill()
        for future in pending:
            assert isinstance(future.exception(), httpx.TransportError)
