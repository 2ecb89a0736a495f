"""What is given back while nobody asks (IDLE_UNLOAD_S), and what the next request waits for.

    .venv/bin/python -m benchmarks.studies.idle_memory [--packs starter FOLDER]

A server of its own on this machine: its memory (RSS, of which mapped weights are a part) warm and
let go, and the time of a request warm and after that, five times.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from face_service.runtime.processor import in_words, processor
from tests.photos import ROOT, four_faces
from tests.server import Server

IDLE_S = 2
ROUNDS = 5
GIVEN_BACK_S = 11.0
"""After which freed memory has been returned to the system (serving/supervisor.py)."""


def megabytes(process: int, what: str) -> float:
    """A line of /proc/PID/status, VmRSS or RssAnon, in 10^6 bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    (found,) = re.findall(rf"^{what}:\s+(\d+) kB", status, re.MULTILINE)
    return int(found) * 1024 / 1e6


def until(condition: Callable[[], bool]) -> None:
    """Ask again and again."""
    while not condition():
        time.sleep(0.1)


def measured(pack: str, photo: bytes, folder: Path) -> str:
    """A row of the table."""
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
            warm.append(ask())
            before.append([megabytes(server.process.pid, one) for one in ("VmRSS", "RssAnon")])
            until(lambda: networks() == "unloaded")
            time.sleep(GIVEN_BACK_S)
            after.append([megabytes(server.process.pid, one) for one in ("VmRSS", "RssAnon")])
            cold.append(ask())
    finally:
        server.stop()
    rss, anonymous = np.median(before, axis=0)
    idle, idle_anonymous = np.median(after, axis=0)
    return (
        f"| {Path(pack).name} | {rss:.0f}, {anonymous:.0f} | {idle:.0f}, {idle_anonymous:.0f} | "
        f"{np.median(warm):.0f} ms | {np.median(cold):.0f} ms |"
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
        photo = four_faces(Path(folder)).read_bytes()
        for number, pack in enumerate(arguments.packs):
            scratch = Path(folder) / str(number)
            scratch.mkdir()
            name = str(Path(pack).resolve()) if "/" in pack else pack
            print(measured(name, photo, scratch), flush=True)


if __name__ == "__main__":
    main()
