"""Five times more requests than it can answer: what becomes of those, and of the rest.

    .venv/bin/python -m benchmarks.overload [--seconds 15] [--times 5] [--pack starter]
                                            [--log-level ERROR]

First as many clients as the queue holds, in a closed loop: saturation. Then requests arrive at
a constant rate of so many times that, each on its own time, while /health is asked ten times a
second. Round by round, medians; saturation is measured before and after every flood.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections import defaultdict

from benchmarks.frames import frame
from face_service.runtime.processor import in_words, processor
from face_service.tools.bench.client import Client, request_of
from face_service.tools.bench.report import percentile
from face_service.tools.bench.server import Address, running

QUEUE = 8
SENDERS = 48
"""Connections that take turns with the arrivals."""

Latencies = dict[str, list[float]]


def saturate(server: Address, request: bytes, seconds: float) -> float:
    """Requests a second that QUEUE clients get answered."""
    end, answered = time.perf_counter() + seconds, []

    def client() -> None:
        connection = Client(server.host, server.port)
        while time.perf_counter() < end:
            if connection.send(request).status == 200:
                answered.append(time.perf_counter())
        connection.close()

    started = time.perf_counter()
    together([threading.Thread(target=client) for _ in range(QUEUE)])
    return len(answered) / (max(answered) - started)


def flood(server: Address, request: bytes, rate: float, seconds: float) -> tuple[Latencies, float]:
    """Latencies by status and of /health, and the requests answered a second."""
    latencies: Latencies = defaultdict(list)
    answered: list[float] = []
    started = time.perf_counter() + 0.2
    arrivals = iter(range(int(rate * seconds)))
    lock, over = threading.Lock(), threading.Event()

    def sender() -> None:
        connection = Client(server.host, server.port)
        while True:
            with lock:
                number = next(arrivals, None)
            if number is None:
                break
            time.sleep(max(0.0, started + number / rate - time.perf_counter()))
            since = time.perf_counter()
            status = str(connection.send(request).status)
            latencies[status].append(time.perf_counter() - since)
            if status == "200":
                answered.append(time.perf_counter())
        connection.close()

    def watcher() -> None:
        connection = Client(server.host, server.port)
        ask = f"GET /health HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode()
        while not over.wait(0.1):
            since = time.perf_counter()
            assert connection.send(ask).status == 200
            latencies["health"].append(time.perf_counter() - since)
        connection.close()

    watching = threading.Thread(target=watcher)
    watching.start()
    together([threading.Thread(target=sender) for _ in range(SENDERS)])
    over.set()
    watching.join()
    return latencies, len(answered) / (max(answered) - started)


def together(threads: list[threading.Thread]) -> None:
    """Start them all, wait for them all."""
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--times", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pack", default="starter")
    parser.add_argument("--log-level", default="ERROR")
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    variables = {
        "INSIGHTFACE_MODEL": arguments.pack,
        "LOG_LEVEL": arguments.log_level,
        "MAX_QUEUE": str(QUEUE),
    }
    with running(variables) as server:
        request = request_of(frame(1, 0), server.host, server.port)
        together_latencies: Latencies = defaultdict(list)
        saturation = [saturate(server, request, arguments.seconds)]
        flooded = []
        for _ in range(arguments.rounds):
            rate = arguments.times * saturation[-1]
            latencies, throughput = flood(server, request, rate, arguments.seconds)
            flooded.append(throughput)
            for kind, values in latencies.items():
                together_latencies[kind] += values
            saturation.append(saturate(server, request, arguments.seconds))
    steady, flooded_rate = statistics.median(saturation), statistics.median(flooded)
    share = flooded_rate / steady
    bound = QUEUE / steady
    print(f"saturation {steady:.2f} requests/s, flooded {flooded_rate:.2f}: {share:.3f}×")
    print(f"the queue implies {bound * 1e3:.0f} ms\n")
    print("| answer | how many | p50, ms | p99, ms | most, ms |\n|---|---|---|---|---|")
    for kind, values in sorted(together_latencies.items()):
        p50, p99 = percentile(values, 50) * 1e3, percentile(values, 99) * 1e3
        print(f"| {kind} | {len(values)} | {p50:.1f} | {p99:.1f} | {max(values) * 1e3:.1f} |")


if __name__ == "__main__":
    main()
