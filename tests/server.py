"""A real server process on a real socket."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.forks import MODULE, Forked, fork

ONE_THREAD = {"WORKERS": "1", "INTRA_OP_THREADS": "1"}
"""A server with these loads its networks once, not for each worker and number of threads: half the
work of a start, for tests in which nothing has to happen side by side."""


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`python -m face_service.main` in a folder of its own, or a fork that has become the same; its
    log is `log()`. lasting: it is used by several modules."""

    def __init__(
        self,
        environment: dict[str, str],
        folder: Path,
        module: str = "face_service.main",
        python: str | Path = sys.executable,
        forked: bool = False,
    ) -> None:
        self.folder = folder
        self.port = int(environment.setdefault("PORT", str(free_port())))
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "log"
        self.process: subprocess.Popen[bytes] | Forked
        with self._log.open("w") as log:
            if forked:
                program, to = MODULE.format(module), log.fileno()
                self.process = fork(program, [], environment, folder, to, to)
            else:
                self.process = subprocess.Popen(
                    [python, "-m", module],
                    env=environment,
                    cwd=folder,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
        self.client = httpx.Client(base_url=self.url, timeout=60)
        self.lasting = False

    def log(self) -> str:
        """Everything the server has printed."""
        return self._log.read_text()

    def wait_until_ready(self, timeout: float = 120) -> None:
        """Wait for /health to say 200; a server that ends first is a failure."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the server ended:\n{self.log()}"
            try:
                if self.client.get("/health").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"not ready after {timeout} s:\n{self.log()}")

    def wait_until_ended(self, timeout: float = 60) -> int:
        """The exit status."""
        return self.process.wait(timeout)

    def terminate(self) -> None:
        """SIGTERM, if it runs."""
        if self.process.poll() is None:
            self.process.terminate()

    def stop(self) -> int:
        """SIGTERM, then the exit status."""
        self.client.close()
        self.terminate()
        return self.wait_until_ended()

    def stop_unharmed(self) -> None:
        """SIGTERM to a server that still runs, ends with status 0 and has logged no traceback."""
        assert self.process.poll() is None, self.log()
        assert self.stop() == 0
        assert "Traceback" not in self.log(), "something came as a surprise"
