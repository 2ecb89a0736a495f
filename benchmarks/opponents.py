"""Who is measured: this service, the obvious one, insightface in a loop, the bare networks.

Each is a process of its own and answers `Round`s: the same frames, for the same time.
"""

from __future__ import annotations

import base64
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Protocol, cast

from benchmarks.frames import ROOT, SHARED
from face_service.tools.bench.bare import BareProcess, bare_process
from face_service.tools.bench.client import Client, request_of
from face_service.tools.bench.load import Load, Plan, run_apart
from face_service.tools.bench.report import percentile
from face_service.tools.bench.server import (
    LOOPBACK,
    Address,
    cpu_seconds,
    environment,
    free_port,
    peak_rss_mb,
    running,
    stop,
)

PYTHON = sys.executable
ORACLE = ROOT / ".oracle/bin/python"
START_TIMEOUT = 120.0
MANY = 100_000
"""More requests than a round has time for."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one stretch measured. Milliseconds; cpu_ms: CPU time of the server a request."""

    throughput: float
    p50: float
    p95: float
    p99: float
    answered: int
    cpu_ms: float | None = None
    client_cpu_ms: float | None = None
    stages: dict[str, float] | None = None

    @classmethod
    def of(cls, latencies: Sequence[float], seconds: float, **others: Any) -> Round:
        """From latencies in seconds."""
        p50, p95, p99 = (percentile(latencies, percent) * 1e3 for percent in (50, 95, 99))
        return cls(len(latencies) / seconds, p50, p95, p99, len(latencies), **others)


class Subject(Protocol):
    """Anything that can be measured."""

    def measure(self, images: Sequence[bytes], plan: Plan) -> Round:
        """One round of these images in turn."""

    def peak_rss_mb(self) -> float | None:
        """The most memory it has held so far, in 10^6 bytes."""


@dataclass(frozen=True, slots=True)
class HttpServer:
    """A server on a port, driven by a client in a process of its own."""

    address: Address

    def measure(self, images: Sequence[bytes], plan: Plan) -> Round:
        assert self.address.process
        pid = self.address.process.pid
        before = cpu_seconds(pid)
        load = run_apart(plan, self.address.host, self.address.port, images)
        after = cpu_seconds(pid)
        assert not load.errors, load.errors
        assert load.latencies, "no request was answered"
        used = None if before is None or after is None else after - before
        return Round.of(
            load.latencies,
            load.seconds,
            cpu_ms=None if used is None else used / len(load.latencies) * 1e3,
            client_cpu_ms=load.cpu_seconds / len(load.latencies) * 1e3,
            stages=mean_stages(load),
        )

    def peak_rss_mb(self) -> float | None:
        assert self.address.process
        return peak_rss_mb(self.address.process.pid)


def mean_stages(load: Load) -> dict[str, float]:
    """Mean milliseconds by stage."""
    names = dict.fromkeys(name for sample in load.samples for name in sample.stages)
    return {
        name: statistics.fmean(sample.stages.get(name, 0.0) for sample in load.samples)
        for name in names
    }


@contextmanager
def ours(folder: Path, variables: Mapping[str, str], python: str) -> Iterator[HttpServer]:
    """This service on a folder of networks, or on a pack by name."""
    with running(settings(folder, variables), python) as address:
        yield HttpServer(address)


def settings(folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that this service is started with; any interpreter finds its source."""
    pack = folder.name if not folder.is_dir() else str(folder)
    return {"INSIGHTFACE_MODEL": pack, "PYTHONPATH": str(ROOT / "src"), **variables}


@contextmanager
def naive(folder: Path) -> Iterator[HttpServer]:
    """../shared/tools/naive_service.py: FastAPI around FaceAnalysis."""
    port = free_port()
    # insightface joins root, "models" and name; an absolute name stands for itself.
    variables = {"PORT": str(port), "MODEL_ROOT": "/", "MODEL": str(folder)}
    process = subprocess.Popen(
        [str(ORACLE), str(SHARED / "tools/naive_service.py")],
        env=environment(variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield HttpServer(Address(LOOPBACK, port, process))
    finally:
        stop(process)


def first_answer(server: HttpServer, image: bytes, since: float) -> float:
    """Seconds from `since` (time.monotonic) until the server has answered an image."""
    address = server.address
    assert address.process
    request = request_of(image, address.host, address.port)
    client = Client(address.host, address.port)
    while time.monotonic() - since < START_TIMEOUT and address.process.poll() is None:
        if client.send(request).status == 200:
            client.close()
            return time.monotonic() - since
        time.sleep(0.02)
    raise SystemExit("a server did not start")


@dataclass(slots=True)
class Loop:
    """insightface's FaceAnalysis in a loop. It has one caller, whatever the plan says."""

    stdin: IO[str]
    stdout: IO[str]
    rss: float | None = None

    def measure(self, images: Sequence[bytes], plan: Plan) -> Round:
        encoded = [base64.b64encode(image).decode() for image in images]
        seconds = 0.0 if plan.requests <= len(images) else plan.seconds
        print(json.dumps({"seconds": seconds, "images": encoded}), file=self.stdin, flush=True)
        answer = json.loads(self.stdout.readline())
        self.rss = answer["peak_rss_mb"]
        return Round.of(answer["latencies"], answer["seconds"])

    def peak_rss_mb(self) -> float | None:
        return self.rss


@contextmanager
def insightface_loop(folder: Path) -> Iterator[Loop]:
    """A process that runs insightface in a loop."""
    process = subprocess.Popen(
        [str(ORACLE), str(ROOT / "benchmarks/insightface_loop.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        loop = Loop(cast(IO[str], process.stdin), cast(IO[str], process.stdout))
        print(json.dumps({"pack": str(folder)}), file=loop.stdin, flush=True)
        yield loop
    finally:
        stop(process)


@contextmanager
def bare(
    folder: Path, variables: Mapping[str, str], python: str, images: Sequence[bytes]
) -> Iterator[BareProcess]:
    """The bare limit of this service on these images."""
    with bare_process(settings(folder, variables), images, python) as process:
        yield process


def median_round(rounds: Sequence[Round]) -> Round:
    """The median of each figure by itself."""
    rows = [asdict(one) for one in rounds]

    def middle(name: str) -> Any:
        values = [row[name] for row in rows]
        if None in values:
            return None
        if name == "stages":
            return {key: statistics.median(v.get(key, 0.0) for v in values) for key in values[0]}
        return statistics.median(values)

    return Round(**{name: middle(name) for name in rows[0]})
