"""Decision 0022: what a request costs under uvicorn, Granian and Hypercorn.

    PYTHONPATH=FOLDER:src:. .venv/bin/python -m benchmarks.studies.servers
        [--rounds 5] [--seconds 3] [--starts 3] [--servers uvicorn granian hypercorn]

FOLDER: see server_subjects.py. All servers run side by side; rounds alternate between them, so
that what else the machine does meets each of them alike. Medians over the rounds.
"""

from __future__ import annotations

import argparse
import http.client
import socket
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

from benchmarks.frames import SHARED
from benchmarks.opponents import MANY
from benchmarks.studies.server_subjects import SERVERS, Running, served_by
from benchmarks.tables import table
from face_service.tools.bench.client import request_of
from face_service.tools.bench.load import Plan, run_apart
from face_service.tools.bench.report import percentile
from face_service.tools.bench.server import cpu_seconds, peak_rss_mb

ERRORS: dict[str, Counter[str]] = defaultdict(Counter)
"""Answers to an image that were not 200, by server: none are expected."""


class Cost(NamedTuple):
    """Of one round. Milliseconds; cpu: of the server, a request."""

    throughput: float
    p50: float
    p99: float
    cpu: float


SMALL = {
    "GET /health/live": (b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n", 200),
    "POST /detect, 300 kB that are no image": (request_of(bytes(300_000), "x", 80), 400),
}
"""Requests that reach no network, and the status of their answer."""


def photo() -> bytes:
    """A JPEG of 250×250 pixels, 15 kB, with one face."""
    return sorted((SHARED / "faces" / "lfw").glob("*/*_0001.jpg"))[3].read_bytes()


def small_requests(server: Running, request: bytes, expected: int, seconds: float) -> Cost:
    """One on a connection after the other: what server and application cost, without networks."""
    latencies: list[float] = []
    with socket.create_connection((server.address.host, server.address.port), 20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        before, started = cpu_seconds(server.pid) or 0, time.perf_counter()
        while (now := time.perf_counter()) - started < seconds:
            connection.sendall(request)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert answer.read()
            assert answer.status == expected, answer.status
            latencies.append(time.perf_counter() - now)
    took, used = time.perf_counter() - started, (cpu_seconds(server.pid) or 0) - before
    p50, p99 = (percentile(latencies, percent) * 1e3 for percent in (50, 99))
    return Cost(len(latencies) / took, p50, p99, used / len(latencies) * 1e3)


def images(server: Running, clients: int, seconds: float) -> Cost:
    """POST /detect from so many clients."""
    before = cpu_seconds(server.pid) or 0
    load = run_apart(
        Plan(clients, MANY, seconds), server.address.host, server.address.port, [photo()]
    )
    used = (cpu_seconds(server.pid) or 0) - before
    ERRORS[server.name].update(load.errors)
    p50, p99 = (percentile(load.latencies, percent) * 1e3 for percent in (50, 99))
    return Cost(load.throughput, p50, p99, used / len(load.latencies) * 1e3)


def median(rounds: list[Cost]) -> Cost:
    return Cost(*(statistics.median(column) for column in zip(*rounds, strict=True)))


def middle(column: int, rows: Sequence[tuple[float, float]]) -> float:
    return statistics.median(row[column] for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=SERVERS)
    arguments = parser.parse_args()

    starts = {
        name: [start_time(name) for _ in range(arguments.starts)] for name in arguments.servers
    }
    found: dict[str, dict[str, list[Cost]]] = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        servers = [
            stack.enter_context(served_by(n, LOG_LEVEL="WARNING")) for n in arguments.servers
        ]
        idle = {server.name: peak_rss_mb(server.pid) for server in servers}
        for _ in range(arguments.rounds):
            for server in servers:
                for what, (request, expected) in SMALL.items():
                    found[what][server.name].append(
                        small_requests(server, request, expected, arguments.seconds)
                    )
            for clients in (1, 4):
                for server in servers:
                    found[f"POST /detect, {clients} client{'s' * (clients > 1)}"][
                        server.name
                    ].append(images(server, clients, arguments.seconds))
        loaded = {server.name: peak_rss_mb(server.pid) for server in servers}
    print(
        table(
            "| | server | per second | p50, ms | p99, ms | CPU, ms a request |",
            (
                f"| {what} | {name} | " + " | ".join(f"{v:.2f}" for v in median(rounds)) + " |"
                for what, by_server in found.items()
                for name, rounds in by_server.items()
            ),
        )
    )
    print()
    print(
        table(
            "| server | start, s | of it CPU, s | VmHWM idle, MB | VmHWM loaded, MB | not 200 |",
            (
                f"| {name} | {middle(0, starts[name]):.1f} | {middle(1, starts[name]):.1f} | "
                f"{idle[name]:.0f} | {loaded[name]:.0f} | {dict(ERRORS[name]) or 'none'} |"
                for name in arguments.servers
            ),
        )
    )


def start_time(name: str) -> tuple[float, float]:
    """Seconds from the start of the process until /health says healthy; CPU time of them."""
    started = time.monotonic()
    with served_by(name, LOG_LEVEL="WARNING") as server:
        return time.monotonic() - started, cpu_seconds(server.pid) or 0


if __name__ == "__main__":
    main()
