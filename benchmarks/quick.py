"""This service against the obvious one in two minutes, A B A B on the same frames.

    .venv/bin/python -m benchmarks.quick [--rounds 3]

The longer comparison, with more opponents and the bare limit: benchmarks/compare.py.
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack

from benchmarks.frames import ROOT, SHARED
from benchmarks.opponents import PYTHON, HttpServer, first_answer, median_round, naive, ours
from face_service.runtime.processor import in_words, processor
from face_service.tools.bench.frames import generate
from face_service.tools.bench.load import Plan

REQUESTS = {0: 16, 1: 12, 6: 6}
"""Requests a round, by faces in a frame."""


def main() -> None:
    """Print a table like the first of docs/performance-measured.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print(in_words(processor()), end="\n\n")
    pack = ROOT / ".oracle/packs/standin"
    with ExitStack() as stack:
        servers: list[HttpServer] = [
            stack.enter_context(naive(pack)),
            stack.enter_context(ours(pack, {}, PYTHON)),
        ]
        for server in servers:
            first_answer(server, generate(6, SHARED / "faces", 1)[0], time.monotonic())
        print("| faces | clients | obvious, requests/s | this service | ratio |", end=" ")
        print("obvious, p50 | this service | ratio |\n|---|---|---|---|---|---|---|---|")
        for faces, requests in REQUESTS.items():
            images = generate(faces, SHARED / "faces", 4)
            for clients in (1, 4):
                plan = Plan(clients=clients, requests=requests, seconds=60)
                measured = [
                    [server.measure(images, plan) for server in servers] for _ in range(rounds)
                ]
                a, b = (median_round(column) for column in zip(*measured, strict=True))
                print(
                    f"| {faces} | {clients} | {a.throughput:.2f} | {b.throughput:.2f} "
                    f"| {b.throughput / a.throughput:.2f}× | {a.p50:.0f} ms | {b.p50:.0f} ms "
                    f"| {b.p50 / a.p50:.2f}× |",
                    flush=True,
                )
        peaks = [server.peak_rss_mb() for server in servers]
        print("peak memory:", *(f"{peak:.0f} MB" for peak in peaks if peak))


if __name__ == "__main__":
    main()
