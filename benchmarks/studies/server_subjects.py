"""The application under three HTTP servers, each with the same bounds and the same drain.

    pip install --no-deps --target FOLDER granian hypercorn h2 hpack hyperframe wsproto priority
    PYTHONPATH=FOLDER:src:. .venv/bin/python -m benchmarks.studies.server_subjects granian

`uvicorn` is `face_service.main`, that is our subclass. The other two run embedded in one process
with asyncio, because a drain must be awaited before the port is closed; where a server has a
setting for a bound of ours, it gets ours. Settings come from the environment, as always.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.frames import ROOT
from face_service.app import create_app
from face_service.config import load_settings
from face_service.main import main
from face_service.observability.logs import configure_logging
from face_service.runtime.memory import set_up_malloc
from face_service.tools.bench.server import LOOPBACK, Address, free_port, stop, wait_until_ready

SERVERS = ("uvicorn", "granian", "hypercorn")
HEADER_TIMEOUT_S, KEEP_ALIVE_S, SEND_TIMEOUT_S, MAX_HEADER_BYTES = 10, 65, 5, 65536
"""As face_service.http.lifecycle and face_service.main have them."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server of ours. log: what it has printed."""

    name: str
    address: Address
    log: Path

    @property
    def pid(self) -> int:
        assert self.address.process
        return self.address.process.pid


@contextmanager
def served_by(name: str, **variables: str) -> Iterator[Running]:
    """The application under a server of SERVERS, ready, with these settings; stopped at the end."""
    port = free_port()
    own = {
        "HOST": LOOPBACK,
        "PORT": str(port),
        "INSIGHTFACE_MODEL": "starter",
        "MODEL_CACHE_DIR": str(ROOT / "models"),
        **variables,
    }
    command = (
        ["-m", "face_service.main"]
        if name == "uvicorn"
        else ["-m", "benchmarks.studies.server_subjects", name]
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        with path.open("w") as log:
            process = start(command, own, log)
        try:
            address = Address(LOOPBACK, port, process)
            if not wait_until_ready(process, address):
                raise SystemExit(f"{name} did not start:\n{path.read_text()[-2000:]}")
            yield Running(name, address, path)
        finally:
            if process.poll() is None:
                stop(process)


def start(
    command: list[str], variables: Mapping[str, str], log: IO[str]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, **variables},
        cwd=ROOT,
        stdout=log,
        stderr=subprocess.STDOUT,
    )


async def signalled() -> None:
    """Return on the first SIGTERM."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    await asked.wait()


async def serve_with_granian(app: Any, settings: Any) -> None:
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    server = Server(
        app,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        backpressure=settings.max_connections,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADER_TIMEOUT_S * 1000, max_buffer_size=MAX_HEADER_BYTES
        ),
        log_access=False,
    )
    # Again: Granian's constructor calls dictConfig, which ends every handler there is.
    configure_logging(settings.log_level, settings.log_format)
    serving = asyncio.create_task(server.serve())
    await signalled()
    await app.state.service.drain(settings.drain_grace_s)
    server.stop()
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(serving, SEND_TIMEOUT_S)


async def serve_with_hypercorn(app: Any, settings: Any) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"{settings.host}:{settings.port}"]
    config.keep_alive_max_requests = 1_000_000_000
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.read_timeout = HEADER_TIMEOUT_S
    config.h11_max_incomplete_size = MAX_HEADER_BYTES
    config.graceful_timeout = SEND_TIMEOUT_S
    config.include_server_header = False

    async def drained() -> None:
        await signalled()
        await app.state.service.drain(settings.drain_grace_s)

    await serve(app, config, shutdown_trigger=drained)


def serve(name: str) -> None:
    set_up_malloc()
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    runner = {"granian": serve_with_granian, "hypercorn": serve_with_hypercorn}[name]
    try:
        import uvloop
    except ImportError:
        asyncio.run(runner(create_app(settings), settings))
    else:
        uvloop.run(runner(create_app(settings), settings))


if __name__ == "__main__":
    sys.exit(main() if sys.argv[1] == "uvicorn" else serve(sys.argv[1]))
