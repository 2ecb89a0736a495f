"""Memory, files, threads and latency over thousands of mixed requests.

    .venv/bin/python -m benchmarks.mixed [--requests 5000] [--pack starter|./folder]

Sizes, formats, 0 to 30 faces, things that are no image, clients that leave in the middle.
Prints the state of the server as it goes. Ends with status 1 if memory at the end (the median of
the last three states) is GROWTH_MB above the most in the first tenth (and WARM_REQUESTS), if files
or threads pile up, or if anything but faces and clean errors comes back.
"""

from __future__ import annotations

import argparse
import random
import socket
import statistics
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from benchmarks.opponents import SHARED
from face_service.runtime.processor import in_words, processor
from face_service.tools.bench.client import Client, request_of
from face_service.tools.bench.frames import generate
from face_service.tools.bench.server import Address, running

CLIENTS = 4
STEPS = 10
GROWTH_MB = 20
WARM_REQUESTS = 200
"""Until so many have been answered memory may grow: the heap takes the shape of what is usual."""
REST_S = 12
"""After so many seconds without requests the service has given freed memory back."""
REST_PIECES = 12
MORE_FILES, MORE_THREADS = 8, 2
"""What connections in the making may add at any moment."""
LEAVES = 20
"""One request in so many is given up by its client."""


@dataclass(frozen=True, slots=True)
class State:
    """Resident memory in 10^6 bytes, open files, threads."""

    memory: float
    files: int
    threads: int

    @classmethod
    def at_rest(cls, pid: int, rest: float = REST_S) -> State:
        """As Linux says, after a pause: what stays, not what a request needs for a moment. The
        pause is one also where all this is stopped meanwhile (SIGSTOP), for another measurement.
        """
        for _ in range(REST_PIECES):
            time.sleep(rest / REST_PIECES)
        status = Path(f"/proc/{pid}/status").read_text()
        values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return cls(int(values["VmRSS"].split()[0]) * 1024 / 1e6, files, int(values["Threads"]))


@dataclass(slots=True)
class Traffic:
    """What was sent and what came of it."""

    server: Address
    requests: list[bytes]
    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def send(self, seed: int, count: int) -> None:
        """One client's share, in an order of its own."""
        chance, connection = random.Random(seed), Client(self.server.host, self.server.port)
        for _ in range(count):
            request = chance.choice(self.requests)
            if chance.randrange(LEAVES) == 0:
                self.leave(request, chance)
                continue
            started = time.perf_counter()
            status = connection.send(request).status
            self.latencies.append(time.perf_counter() - started)
            self.statuses[str(status)] += 1
        connection.close()

    def leave(self, request: bytes, chance: random.Random) -> None:
        """Send some or all of a request, and be gone before the answer."""
        with socket.create_connection((self.server.host, self.server.port)) as connection:
            connection.sendall(request[: chance.choice((40, len(request) // 2, len(request)))])
            time.sleep(chance.choice((0, 0.01, 0.1)))
        self.statuses["left"] += 1

    def step(self, number: int, count: int) -> None:
        """`count` requests by CLIENTS clients side by side."""
        threads = [
            threading.Thread(target=self.send, args=(number * CLIENTS + k, count // CLIENTS))
            for k in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def mixed_images() -> list[bytes]:
    """Frames of 0 to 30 faces in several formats and sizes, and things that are none."""
    frames = [frame for faces in (0, 1, 6) for frame in generate(faces, SHARED / "faces", 3)]
    images = [*frames, *generate(30, SHARED / "faces", 1)]
    for index, frame in enumerate(frames):
        pixels = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_COLOR)
        side = (64, 333, 700, 1280, 2500)[index % 5]
        small = cv2.resize(pixels, (side, side * (3 + index % 4) // 6))
        suffix = (".png", ".webp", ".bmp", ".tiff", ".jpg")[index % 5]
        images.append(cv2.imencode(suffix, small)[1].tobytes())
    return [*images, b"", b"text", frames[0][:5000], frames[1][:-5000], b"\xff\xd8\xff" + bytes(99)]


def drive(server: Address, count: int, rest: float = REST_S) -> list[str]:
    """Send `count` mixed requests, with a rest after each tenth; what was wrong, in words."""
    assert server.process is not None
    images = mixed_images()
    traffic = Traffic(server, [request_of(image, server.host, server.port) for image in images])
    states = []
    print("| requests | resident | open files | threads | p50 |\n|---|---|---|---|---|")
    medians = []
    for number in range(STEPS):
        before = len(traffic.latencies)
        traffic.step(number, count // STEPS)
        states.append(state := State.at_rest(server.process.pid, rest))
        medians.append(statistics.median(traffic.latencies[before:]) * 1e3)
        print(
            f"| {sum(traffic.statuses.values())} | {state.memory:.0f} MB | {state.files} "
            f"| {state.threads} | {medians[-1]:.0f} ms |",
            flush=True,
        )
    print(f"\nanswers by status: {dict(sorted(traffic.statuses.items()))}")
    print(f"p50 of the last tenth / of the first: {medians[-1] / medians[0]:.2f}")
    warm = -(-WARM_REQUESTS // (count // STEPS))
    settled, most = states[0], max(state.memory for state in states[:warm])
    return [
        fault
        for fault, holds in {
            f"memory grew by more than {GROWTH_MB} MB": statistics.median(
                state.memory for state in states[-3:]
            )
            <= most + GROWTH_MB,
            "open files pile up": states[-1].files <= settled.files + MORE_FILES,
            "threads pile up": states[-1].threads <= settled.threads + MORE_THREADS,
            "an answer was neither faces nor a clean error": set(traffic.statuses)
            <= {"200", "400", "413", "left"},
        }.items()
        if not holds
    ]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--pack", default="starter", help="a name, or a folder written with a /")
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    with running({"INSIGHTFACE_MODEL": arguments.pack, "LOG_LEVEL": "ERROR"}) as server:
        faults = drive(server, arguments.requests)
    print(*faults, sep="\n")
    return len(faults) > 0


if __name__ == "__main__":
    sys.exit(main())
