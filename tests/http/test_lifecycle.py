"""uvicorn's protocol with bounds: what takes too long against a real process, with short times."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from face_service.app import create_app
from face_service.config import Settings
from face_service.http.connection_state import Timeouts
from face_service.http.lifecycle import Server, affordable_connections
from face_service.http.protocol import BoundedProtocol
from face_service.packs.pack import Pack
from face_service.serving import admission
from face_service.serving.admission import Admission
from face_service.serving.service import FaceService
from tests.conftest import ROOT
from tests.server import free_port
from tests.wire import settled

PAGE = b"x" * 20_000_000
"""More than sockets hold: the server has to wait for its reader."""
SHORT = Timeouts(write=1.0, linger=0.3, headers=0.5, keep_alive=0.5)


async def page(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": PAGE})


@pytest.fixture
def serve() -> Iterator[Callable[..., uvicorn.Server]]:
    """Serves `page` in a thread, with short times, on `server.config.port`."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(
        kind: Callable[..., uvicorn.Server] = uvicorn.Server, **options: Any
    ) -> uvicorn.Server:
        options = {"max_connections": 10, "timeouts": SHORT, **options}
        protocol: Any = partial(BoundedProtocol, **options)
        config = uvicorn.Config(
            page, http=protocol, port=free_port(), log_config=None, lifespan="off"
        )
        server = kind(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        settled(lambda: server.started)
        return server

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join()


@pytest.fixture
def port(serve: Callable[..., uvicorn.Server]) -> int:
    return serve().config.port


def read_all(connection: socket.socket, pause: float = 0) -> int:
    """Bytes until the other side closes or resets."""
    received = 0
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(1 << 20):
            received += len(data)
            time.sleep(pause)
    return received


def test_a_body_that_drips_after_a_long_answer_is_not_awaited(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999\r\n\r\n")
        time.sleep(0.1)  # the answer fills every buffer
        received = 0
        while received < len(PAGE):
            received += len(connection.recv(1 << 20))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(100):
                connection.sendall(b"a")
                time.sleep(0.1)


def test_who_does_not_read_is_cut_off_whatever_else_it_sends(port: int) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", port))
        for _ in range(5):
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            time.sleep(0.1)
        time.sleep(2 * SHORT.write)
        assert read_all(connection) < len(PAGE)


def test_who_reads_slowly_but_steadily_gets_everything(port: int) -> None:
    """For four times as long as one may read nothing; most of it in the system's own buffers."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        pause = 4 * SHORT.write / (len(PAGE) / (1 << 20))
        assert read_all(connection, pause) > len(PAGE)


def test_slow_readers_give_way_and_steady_ones_do_not(
    serve: Callable[..., uvicorn.Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "SLOW_AFTER_S", 0.5)
    memory = Admission(10, max_bytes=2.2 * len(PAGE))
    port = serve(timeouts=Timeouts(), hold_answer=memory.hold_answer).config.port
    get = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"

    with ExitStack() as stack:
        slow, steady, late = (stack.enter_context(socket.socket()) for _ in range(3))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for connection in (slow, steady, late):
            connection.settimeout(30)
            connection.connect(("127.0.0.1", port))
        slow.sendall(get)
        steady.sendall(get)
        reader = stack.enter_context(ThreadPoolExecutor(1)).submit(read_all, steady, 0.2)
        settled(lambda: memory.bytes_held > 1.5 * len(PAGE))
        time.sleep(1)
        assert slow.recv(1), "nobody needs the memory"
        late.sendall(get)
        assert read_all(late) > len(PAGE)
        assert reader.result() > len(PAGE)
        assert read_all(slow) < len(PAGE)
    settled(lambda: memory.bytes_held == 0)


def test_an_idle_connection_ends(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert read_all(connection) > len(PAGE)


async def never(kind: type[Exception]) -> None:
    raise kind("no")


def test_a_drain_that_fails_still_ends_the_process(serve: Callable[..., uvicorn.Server]) -> None:
    server = serve(lambda config: Server(config, lambda: never(RuntimeError)))
    assert isinstance(server, Server)
    server.handle_exit(signal.SIGTERM, None)
    settled(lambda: server.should_exit)


class Held(Server):
    """A server that has its signal and does not yet drain, until the test says so."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Any]) -> None:
        super().__init__(config, drain)
        self.tick = threading.Event()

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) if self.tick.is_set() else False


def test_a_request_admitted_between_the_signal_and_draining_is_answered(
    open_pack: Pack, four_faces: Path
) -> None:
    settings = Settings(
        _env_file=None, insightface_model="open", model_cache_dir=open_pack.directory.parent
    )
    app = create_app(settings)
    service: FaceService = app.state.service
    protocol: Any = partial(BoundedProtocol, max_connections=10)
    config = uvicorn.Config(app, http=protocol, port=free_port(), log_config=None)
    server = Held(config, lambda: service.drain(0))
    thread = threading.Thread(target=server.run)
    thread.start()
    photo = four_faces.read_bytes()
    url = f"http://127.0.0.1:{config.port}"
    head = (
        f"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\n"
        f"content-length: {len(photo)}\r\n\r\n"
    )
    try:
        settled(lambda: service.status == "healthy", 120)
        server.handle_exit(signal.SIGTERM, None)
        with socket.create_connection(("127.0.0.1", config.port), timeout=60) as connection:
            connection.sendall(head.encode() + photo[:1000])
            settled(lambda: service.admission.inside == 1)
            assert service.status == "healthy", "admitted before draining"
            server.tick.set()
            settled(lambda: service.draining)
            late = httpx.post(
                f"{url}/detect", content=photo, headers={"Content-Type": "image/jpeg"}
            )
            assert (late.status_code, late.json()["code"]) == (503, "not_ready")
            assert not server.should_exit, "the port was closed before the answer"
            connection.sendall(photo[1000:])
            answer = b""
            while data := connection.recv(1 << 16):
                answer += data
        head, _, body = answer.decode().partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 200")
        assert "connection: close" in head.lower().splitlines()
        assert len(json.loads(body)["faces"]) == 4
        thread.join(30)
        assert not thread.is_alive()
    finally:
        server.tick.set()
        server.should_exit = True
        thread.join()


def test_a_drain_that_is_cancelled_still_ends_the_process() -> None:
    async def run() -> None:
        server = Server(uvicorn.Config(page), asyncio.Event().wait)  # type: ignore[arg-type]
        server.handle_exit(signal.SIGTERM, None)
        assert not await server.on_tick(1)
        await asyncio.sleep(0)
        assert server._draining is not None
        server._draining.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await server._draining
        assert server.should_exit

    asyncio.run(run())


AFFORDABLE = """
import logging, resource, sys
logging.basicConfig(format="%(message)s")
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from face_service.http.lifecycle import affordable_connections
print(affordable_connections({wanted}), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "expected"),
    [
        pytest.param(1024, 4096, 1000, "1000 1100 4096", id="the soft limit is raised"),
        pytest.param(2048, 4096, 1000, "1000 2048 4096", id="it suffices"),
        pytest.param(256, 256, 1000, "156 256 256", id="macOS"),
        pytest.param(64, 64, 1000, "32 64 64", id="very few"),
        pytest.param(64, 80, 1000, "40 80 80", id="raised, and too few"),
    ],
)
def test_connections_are_no_more_than_there_are_files(
    soft: int, hard: int, wanted: int, expected: str
) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip(f"this process may not open {hard} files itself")
    script = AFFORDABLE.format(soft=soft, hard=hard, wanted=wanted)
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.strip() == expected
    lowered = expected.split()[0] != str(wanted)
    assert (f"MAX_CONNECTIONS={wanted} is lowered" in run.stderr) == lowered


HIDDEN = """
import asyncio, subprocess, sys, tempfile  # Python's own differ there
for name in ("uvloop", "resource", "fcntl", "termios", "pwd", "grp"):
    sys.modules[name] = None
import os
for name in ("setpriority", "getpriority", "sched_getaffinity"):
    if hasattr(os, name):
        delattr(os, name)
import face_service.main, face_service.server
sys.platform = "win32"
from face_service.http.transport import unacknowledged
from face_service.http.lifecycle import affordable_connections
print(affordable_connections(7), unacknowledged(object()))
"""


@pytest.mark.parametrize("error", [ValueError, PermissionError])
def test_a_limit_that_cannot_be_raised_lowers_the_bound(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def refuse(*_: object) -> None:
        raise error("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert affordable_connections(1000) == 156


def test_the_server_is_imported_where_there_is_no_unix() -> None:
    run = subprocess.run([sys.executable, "-c", HIDDEN], capture_output=True, text=True, cwd=ROOT)
    assert (run.returncode, run.stdout.strip()) == (0, "7 0"), run.stderr


def test_what_the_server_imports_is_required_on_windows() -> None:
    """httptools has wheels for it; uvloop has none."""
    text = (ROOT / "pyproject.toml").read_text()
    limited = re.findall(r'"(\w+)\S* ?sys_platform != \'win32\'"', text)
    assert limited == ["uvloop"]
    for lock in ("requirements.lock", "requirements-dev.lock"):
        (line,) = re.findall(r"^httptools==.*$", (ROOT / lock).read_text(), re.MULTILINE)
        assert "win32" not in line
