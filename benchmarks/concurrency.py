"""Few clients and many on one server, in turn: more of them must cost nothing but waiting.

    .venv/bin/python -m benchmarks.concurrency [--clients 4 32] [--rounds 12] [--seconds 8]

The frames have one face each. Every line is a number of clients: the median of its rounds, the
median and quartiles of each round's throughput against the first number's in that round, and p99
against what the queue implies, so many clients times the time between two answers.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks import opponents
from benchmarks.frames import ROOT, frame
from benchmarks.opponents import MANY, PYTHON, Round, median_round
from benchmarks.tables import table
from face_service.runtime.processor import in_words, processor
from face_service.tools.bench.load import Plan

FRAMES = 4


def measure(folder: Path, clients: list[int], rounds: int, seconds: float) -> list[list[Round]]:
    """The rounds of each number of clients; who comes first changes from round to round."""
    images = [frame(1, seed) for seed in range(FRAMES)]
    measured: list[list[Round]] = [[] for _ in clients]
    places = list(range(len(clients)))
    with opponents.ours(folder, {}, PYTHON) as server:
        server.measure(images, Plan(1, 2 * FRAMES, 60))
        for turn in range(rounds):
            for place in places if turn % 2 == 0 else reversed(places):
                plan = Plan(clients[place], MANY, seconds)
                measured[place].append(server.measure(images, plan))
    return measured


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", type=Path, default=ROOT / ".oracle/packs/standin")
    parser.add_argument("--clients", type=int, nargs="+", default=[4, 32])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=8, help="per round and clients")
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    measured = measure(
        arguments.pack.resolve(), arguments.clients, arguments.rounds, arguments.seconds
    )
    print(
        table(
            "| clients | requests/s | against the first | quartiles | p50 ms | p99 ms "
            "| p99 / (clients × time an answer) |",
            (
                line(clients, rounds, measured[0])
                for clients, rounds in zip(arguments.clients, measured, strict=True)
            ),
        )
    )


def line(clients: int, rounds: Sequence[Round], first: Sequence[Round]) -> str:
    """What so many clients had, next to what the first number of them had."""
    row = median_round(rounds)
    low, middle, high = statistics.quantiles(
        (one.throughput / other.throughput for one, other in zip(rounds, first, strict=True)), n=4
    )
    return (
        f"| {clients} | {row.throughput:.2f} | **{middle:.3f}×** | {low:.3f}× to {high:.3f}× "
        f"| {row.p50:.0f} | {row.p99:.0f} | {row.p99 / 1e3 * row.throughput / clients:.2f} |"
    )


if __name__ == "__main__":
    main()
