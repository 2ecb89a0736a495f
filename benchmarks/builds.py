"""This build of the service against an older one, in turn.

    git worktree add ../older 8b9539d     # with ../shared beside it
    .venv/bin/python -m benchmarks.builds ../older [--faces 0 1 6 mix] [--clients 1 4 32]
        [--rounds 5] [--seconds 3] [--set DET_GATE=off]

Both run in this environment, each from its own source, and answer the same 1920×1080 frames, round
by round; who comes first changes. Prints the median of the rounds of each, and the median and the
quartiles of the ratio within a round. `mix`: of ten frames six have no face, three have one, one
has three.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.frames import ROOT, frame
from benchmarks.opponents import (
    MANY,
    PYTHON,
    HttpServer,
    Round,
    first_answer,
    median_round,
    ours,
)
from benchmarks.tables import table
from face_service.runtime.processor import in_words, processor
from face_service.tools.bench.load import Plan

MIX = (0, 0, 1, 0, 0, 1, 0, 3, 0, 1)
FRAMES = 4


def frames(kind: str) -> list[bytes]:
    """The frames of a number of faces, or of the mix."""
    if kind == "mix":
        return [frame(faces, seed) for seed, faces in enumerate(MIX)]
    return [frame(int(kind), seed) for seed in range(FRAMES)]


def rounds_of(
    servers: Sequence[HttpServer], images: list[bytes], clients: int, rounds: int, seconds: float
) -> list[list[Round]]:
    """The rounds of each server."""
    measured: list[list[Round]] = [[] for _ in servers]
    for turn in range(rounds):
        for place in (0, 1) if turn % 2 == 0 else (1, 0):
            measured[place].append(servers[place].measure(images, Plan(clients, MANY, seconds)))
    return measured


def line(kind: str, clients: int, older: list[Round], newer: list[Round]) -> str:
    """A row of the table."""
    was, now = median_round(older), median_round(newer)
    ratios = [b.throughput / a.throughput for a, b in zip(older, newer, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    p50 = statistics.median(b.p50 / a.p50 for a, b in zip(older, newer, strict=True))
    return (
        f"| {kind} | {clients} | {was.throughput:.2f} | {now.throughput:.2f} "
        f"| **{middle:.2f}×** ({low:.2f} to {high:.2f}) | {was.p50:.0f} | {now.p50:.0f} "
        f"| **{p50:.2f}×** |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("older", type=Path, help="a checkout of the older build")
    parser.add_argument("--pack", type=Path, default=ROOT / ".oracle/packs/standin")
    parser.add_argument("--faces", nargs="+", default=["0", "1", "6", "mix"])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="of the newer")
    arguments = parser.parse_args()
    source = {"PYTHONPATH": str((arguments.older / "src").resolve())}
    newer = dict(pair.split("=", 1) for pair in arguments.set)
    print(in_words(processor()), end="\n\n")
    with ExitStack() as stack:
        servers: list[HttpServer] = []
        starts: list[float] = []
        for variables in (source, newer):
            since = time.monotonic()
            server = stack.enter_context(ours(arguments.pack, variables, PYTHON))
            starts.append(first_answer(server, frame(0, 0), since))
            servers.append(server)
        lines = []
        for kind in arguments.faces:
            images = frames(kind)
            for server in servers:
                server.measure(images, Plan(1, len(images), 60))
            for clients in arguments.clients:
                measured = rounds_of(servers, images, clients, arguments.rounds, arguments.seconds)
                lines.append(line(kind, clients, *measured))
        print(
            table(
                "| faces | clients | older, requests/s | newer | ratio (quartiles) "
                "| older, p50 ms | newer | ratio |",
                lines,
            )
        )
        was, now = (server.peak_rss_mb() or 0 for server in servers)
        print(f"\nPeak memory: {was:.0f} MB, {now:.0f} MB: {now / max(was, 1):.2f}×")
        print(f"First answer after {starts[0]:.1f} s, {starts[1]:.1f} s")


if __name__ == "__main__":
    main()
