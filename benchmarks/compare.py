"""This service against the obvious one, on the same frames, in turn.

    .venv/bin/python -m benchmarks.compare [--rounds 5] [--requests 24] [--pack standin]

Starts both servers, lets each answer the same frames, A B A B, and prints medians and
ratios. The obvious service is ../shared/tools/naive_service.py: FastAPI around
insightface's FaceAnalysis, in the environment that scripts/oracle.sh makes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.frames import ROOT, SHARED, frame
from face_service.load import Load, closed_loop

FRAMES = 4
PORTS = {"naive": 8291, "ours": 8292}


def start(name: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start one of the two servers on the networks in `folder`."""
    environment = {**os.environ, "PORT": str(PORTS[name]), "HOST": "127.0.0.1"}
    if name == "naive":
        command = [str(ROOT / ".oracle/bin/python"), str(SHARED / "tools/naive_service.py")]
        environment |= {"MODEL_ROOT": "/", "MODEL": str(folder)}
    else:
        command = [sys.executable, "-m", "face_service.main"]
        environment |= {"INSIGHTFACE_MODEL": str(folder), "LOG_LEVEL": "WARNING"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wait_until_ready(port: int) -> None:
    """Wait for the server to answer a frame."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if not closed_loop(f"http://127.0.0.1:{port}", [frame(1, 0)], 1, 1).errors:
                return
        except OSError:
            pass
        time.sleep(0.5)
    raise SystemExit(f"no server on port {port}")


def peak_rss_mb(process: subprocess.Popen[bytes]) -> float:
    """The most memory the process has held, in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1e3


def measure(faces: int, clients: int, rounds: int, requests: int) -> dict[str, list[Load]]:
    """Loads by server, one a round, in turn."""
    images = [frame(faces, seed) for seed in range(FRAMES)]
    loads: dict[str, list[Load]] = {name: [] for name in PORTS}
    for _ in range(rounds):
        for name, port in PORTS.items():
            load = closed_loop(f"http://127.0.0.1:{port}", images, clients, requests)
            assert not load.errors, f"{name} failed on {load.errors} requests"
            loads[name].append(load)
    return loads


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=24, help="per round and server")
    parser.add_argument("--pack", type=Path, default=ROOT / ".oracle/packs/standin")
    arguments = parser.parse_args()
    servers = {name: start(name, arguments.pack.resolve()) for name in PORTS}
    try:
        for port in PORTS.values():
            wait_until_ready(port)
        print(
            "| faces | clients | naive req/s | ours req/s | ratio | naive p50 | ours p50 | ratio |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for faces in (0, 1, 6):
            for clients in (1, 4):
                loads = measure(faces, clients, arguments.rounds, arguments.requests)
                rate, p50 = (
                    {name: statistics.median(map(of, loads[name])) for name in PORTS}
                    for of in (lambda load: load.throughput, lambda load: load.percentile(50))
                )
                print(
                    f"| {faces} | {clients} | {rate['naive']:.2f} | {rate['ours']:.2f} "
                    f"| {rate['ours'] / rate['naive']:.2f}× | {p50['naive']:.0f} ms "
                    f"| {p50['ours']:.0f} ms | {p50['ours'] / p50['naive']:.2f}× |",
                    flush=True,
                )
        for name, process in servers.items():
            print(f"peak memory, {name}: {peak_rss_mb(process):.0f} MB")
    finally:
        for process in servers.values():
            process.terminate()


if __name__ == "__main__":
    main()
