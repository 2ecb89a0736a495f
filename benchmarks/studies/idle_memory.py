"""What is given back while nobody asks (IDLE_UNLOAD_S), and what the next request waits for.

    .venv/bin/python -m benchmarks.studies.idle_memory [--packs starter FOLDER]

A server of its own on this machine: its memory (RSS, of which mapped weights are a part) warm and
let go, and the time of a request warm and after that, five times. Writes
benchmarks/results/CLASS/idle_memory.json, from which `python -m benchmarks.plots` draws the last
round: docs/images/closer-idle.svg.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import numpy as np

from benchmarks import kept
from face_service.runtime.processor import in_words, processor
from tests.photos import ROOT, four_faces
from tests.server import Server

IDLE_S = 2
ROUNDS = 5
WHAT = ("VmRSS", "RssAnon")
GIVEN_BACK_S = 11.0
"""After which freed memory has been returned to the system (serving/supervisor.py)."""


BETWEEN_S = 0.2
"""Of the points of the plot."""


def megabytes(process: int) -> list[float]:
    """VmRSS and RssAnon of /proc/PID/status, in 10^6 bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    found = (re.findall(rf"^{what}:\s+(\d+) kB", status, re.MULTILINE) for what in WHAT)
    return [int(kilobytes) * 1024 / 1e6 for (kilobytes,) in found]


@contextmanager
def watched(process: int) -> Iterator[list[list[float]]]:
    """Seconds, RSS and anonymous memory of a process while the block runs."""
    points: list[list[float]] = []
    ended, started = Event(), time.perf_counter()

    def watch() -> None:
        while not ended.wait(BETWEEN_S):
            points.append([time.perf_counter() - started, *megabytes(process)])

    thread = Thread(target=watch)
    thread.start()
    try:
        yield points
    finally:
        ended.set()
        thread.join()


def until(condition: Callable[[], bool]) -> None:
    """Ask again and again."""
    while not condition():
        time.sleep(0.1)


def measured(pack: str, photo: bytes, folder: Path) -> dict[str, Any]:
    """What a pack takes, warm and let go, in MB and ms; and the last round, point by point."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOST": "127.0.0.1",
        "INSIGHTFACE_MODEL": pack,
        "MODEL_CACHE_DIR": str(ROOT / "models"),
        "DET_GATE": "off",
        "IDLE_UNLOAD_S": str(IDLE_S),
    }
    server = Server(environment, folder, forked=False)
    try:
        server.wait_until_ready()

        def networks() -> str:
            return str(server.client.get("/health").json()["networks"])

        def ask() -> float:
            started = time.perf_counter()
            content = {"content": photo, "headers": {"Content-Type": "image/jpeg"}}
            assert server.client.post("/detect", timeout=60, **content).status_code == 200
            return (time.perf_counter() - started) * 1e3

        warm, cold, before, after = [], [], [], []
        for _ in range(ROUNDS):
            ask()
            with watched(server.process.pid) as points:
                warm.append(ask())
                before.append(megabytes(server.process.pid))
                until(lambda: networks() == "unloaded")
                time.sleep(GIVEN_BACK_S)
                after.append(megabytes(server.process.pid))
                asked = points[-1][0]
                cold.append(ask())
                time.sleep(1)
    finally:
        server.stop()
    return {
        "pack": Path(pack).name,
        "warm_mb": np.median(before, axis=0).tolist(),
        "let_go_mb": np.median(after, axis=0).tolist(),
        "warm_ms": float(np.median(warm)),
        "first_ms": float(np.median(cold)),
        "points": np.round(points, 2).tolist(),
        "asked": round(asked, 2),
    }


def row(found: dict[str, Any]) -> str:
    """A row of the table."""
    (rss, anonymous), (idle, idle_anonymous) = found["warm_mb"], found["let_go_mb"]
    return (
        f"| {found['pack']} | {rss:.0f}, {anonymous:.0f} | {idle:.0f}, {idle_anonymous:.0f} | "
        f"{found['warm_ms']:.0f} ms | {found['first_ms']:.0f} ms |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packs", nargs="+", default=["starter"])
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    print("| pack | warm: RSS, anonymous, MB | let go | a request warm | the first after |")
    print("|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        photo, packs = four_faces(Path(folder)).read_bytes(), list[dict[str, Any]]()
        for number, pack in enumerate(arguments.packs):
            scratch = Path(folder) / str(number)
            scratch.mkdir()
            name = str(Path(pack).resolve()) if "/" in pack else pack
            packs.append(measured(name, photo, scratch))
            print(row(packs[-1]), flush=True)
    kept.write("idle_memory", {"idle_s": IDLE_S, "packs": packs}, indent=None)


if __name__ == "__main__":
    main()
