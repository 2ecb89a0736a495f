"""Decision 0022: an engine on a thread of the service against an engine in a process of its own.

    PYTHONPATH=src:. .venv/bin/python -m benchmarks.studies.processes
        [--pack starter|FOLDER] [--rounds 5] [--only latency memory faults]

Three ways, with the same decoding threads and the same engine:
thread: decoded and computed in this process, as the service does.
pixels: decoded here, copied into shared memory that is used again, computed in a child (spawned).
encoded: the JPEG goes through a pipe, the child decodes and computes.

A fault is a signal that a process sends to itself, or a thread that waits for ever without the
GIL, where ONNX Runtime would have been called.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import face_service.app  # what the service has loaded anyway is no price of either way
from benchmarks.frames import frame
from benchmarks.studies.process_engines import (
    CLIENTS,
    FAULTS,
    MAX_PIXELS,
    WAYS,
    Child,
    NotStartedError,
    Way,
    make,
)
from benchmarks.tables import table
from face_service.runtime.memory import set_up_malloc, trim_heap
from face_service.tools.bench.server import cpu_seconds
from face_service.vision.image import check, decode_checked

assert face_service.app


def timed(call: Callable[..., object], *args: Any) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    call(*args)
    return (time.perf_counter() - started) * 1e3


def latency(pack: str, rounds: int) -> None:
    """What an image costs one caller, and four, in turn.

    The least of the rounds, for a machine that does other things as well, and CPU time.
    """
    images = {faces: frame(faces, 1) for faces in (0, 1)}
    pixels = np.zeros((1080, 1920, 3), np.uint8)
    bare = {way: Child("", way == "pixels") for way in WAYS[1:]}
    ways = {way: make(way, pack) for way in WAYS}
    rows = []
    with ThreadPoolExecutor(CLIENTS) as pool:
        for faces, image in images.items():
            one: dict[str, list[float]] = {way: [] for way in WAYS}
            many: dict[str, list[float]] = {way: [] for way in WAYS}
            used = dict.fromkeys(WAYS, 0.0)
            for _ in range(rounds):
                for name, way in ways.items():
                    before = cpu_ms(way)
                    one[name].append(timed(way.analyse, image))
                    took = timed(lambda *args: list(pool.map(*args)), way.analyse, [image] * 4)
                    many[name].append(took / 4)
                    used[name] += (cpu_ms(way) - before) / 5 / rounds
            rows += [
                f"| {faces} | {way} | {min(one[way]):.0f} | {statistics.median(one[way]):.0f} "
                f"| {min(many[way]):.0f} | {statistics.median(many[way]):.0f} | {used[way]:.0f} |"
                for way in WAYS
            ]
    there = {
        "pixels": [timed(pixels_there_and_back, bare["pixels"], pixels) for _ in range(300)],
        "encoded": [timed(bare["encoded"].analyse, images[1]) for _ in range(300)],
    }
    decode = [timed(lambda: decode_checked(check(images[1], MAX_PIXELS))) for _ in range(50)]
    print(
        table(
            "| faces | | one caller, ms: least | median | four callers, ms an image: least "
            "| median | CPU, ms an image |",
            rows,
        )
    )
    print("\nThere and back without an engine, ms, least and median:")
    for what, times in (
        ("6 MB of pixels", there["pixels"]),
        (f"{len(images[1]) / 1e3:.0f} kB of JPEG", there["encoded"]),
        ("decoding alone, for comparison", decode),
    ):
        print(f"{what}: {min(times):.2f}, {statistics.median(times):.2f}")
    print(flush=True)
    for each in (*ways.values(), *bare.values()):
        each.close()


def cpu_ms(way: Way) -> float:
    """CPU time so far of this process and of the engine's."""
    child = way.process.pid if isinstance(way, Child) else None
    there = (cpu_seconds(child) or 0.0) if child else 0.0
    return (time.process_time() + there) * 1e3


def pixels_there_and_back(child: Child, pixels: Any) -> None:
    np.ndarray(pixels.shape, np.uint8, child._slots[0].buf)[:] = pixels
    child._ask((0, pixels.shape))


def kilobytes(pid: int, field: str) -> int:
    """A line of /proc/PID/smaps_rollup."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(field))


def megabytes(way: Way, field: str) -> float:
    """Of this process and of the engine's."""
    pids = [os.getpid(), *([way.process.pid] if isinstance(way, Child) else [])]
    return sum(kilobytes(pid, field) for pid in pids if pid) * 1024 / 1e6


def memory(way: str, pack: str) -> None:
    """Start, memory and a replacement of one way, in this process. One row."""
    set_up_malloc()
    empty = kilobytes(os.getpid(), "Pss:") * 1024 / 1e6
    engine_cpu, started = time.process_time(), time.perf_counter()
    engine = make(way, pack)
    start = time.perf_counter() - started
    used_cpu = cpu_ms(engine) / 1e3 - engine_cpu
    image = frame(1, 1)
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(engine.analyse, [image] * 24))
    trim_heap()
    used = megabytes(engine, "Pss:")
    private = megabytes(engine, "Private_Dirty:")
    # A hang: what it holds while another engine takes over.
    threading.Thread(target=swallowed, args=(engine, FAULTS["hang"]), daemon=True).start()
    time.sleep(0.5)
    started = time.perf_counter()
    engine.close()
    another = make(way, pack)
    replaced = time.perf_counter() - started
    another.analyse(image)
    trim_heap()
    after = megabytes(another, "Pss:")
    print(
        f"| {way} | {start:.1f} | {used_cpu:.1f} | {empty:.0f} | {used:.0f} | {private:.0f} "
        f"| {replaced:.1f} | {after:.0f} |",
        flush=True,
    )
    another.close()
    os._exit(0)  # a hung thread is inside


def swallowed(engine: Way, data: bytes) -> str:
    try:
        return f"{len(engine.analyse(data))} faces"
    except Exception as error:
        return str(error)


def crash(way: str, pack: str) -> None:
    """Seven images and, among them, one that crashes; what had not begun goes to a new engine."""
    engine, changing = make(way, pack), threading.Lock()
    image = frame(1, 1)
    downtime = []

    def outcome(data: bytes) -> str:
        nonlocal engine
        used = engine
        try:
            return f"{len(used.analyse(data))} faces"
        except (NotStartedError, OSError):
            with changing:
                if engine is used:
                    downtime.append(timed(replace) / 1e3)
            return outcome(data)
        except RuntimeError as error:
            return str(error)

    def replace() -> None:
        nonlocal engine
        engine.close()
        engine = make(way, pack)

    items = [image, image, image, FAULTS["crash"], image, image, image, image]
    with ThreadPoolExecutor(CLIENTS) as pool:
        outcomes = list(pool.map(outcome, items))
    answered = sum("faces" in outcome for outcome in outcomes)
    seconds = ", ".join(f"{each:.1f}" for each in downtime)
    print(f"{way}: {answered} of 7 others answered; without an engine for {seconds} s", flush=True)
    engine.close()


def apart(step: str, way: str, pack: str) -> subprocess.CompletedProcess[str]:
    """One step in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.studies.processes", "--step", step, way, "--pack", pack],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", default="starter")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=["latency", "memory", "faults"])
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step, way = arguments.step
        {"memory": memory, "crash": crash}[step](way, arguments.pack)
        return
    if "latency" in arguments.only:
        latency(arguments.pack, arguments.rounds)
    if "memory" in arguments.only:
        rows = [apart("memory", way, arguments.pack) for way in WAYS]
        print(
            table(
                "| | start, s | of it CPU, s | PSS before, MB | PSS with an engine, MB "
                "| private, MB | replaced after a hang, s | PSS then, MB |",
                [row.stdout.strip() or row.stderr[-500:] for row in rows],
            )
        )
    if "faults" in arguments.only:
        for way in WAYS:
            done = apart("crash", way, arguments.pack)
            print(f"\n{done.stdout.strip() or f'{way}: the process ended, {done.returncode}'}")


if __name__ == "__main__":
    main()
