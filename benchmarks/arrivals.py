"""Latency when requests arrive at a constant rate, whether the server keeps up or not.

    .venv/bin/python -m benchmarks.arrivals [--pack FOLDER] [--seconds 8] [--rates 1 2 3 4]

Both servers get the same frames with one face at the same rates, one after the other. A
request is timed from the moment it was due, so a server that falls behind shows it.
Writes benchmarks/results/CLASS/arrivals.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import kept, opponents
from benchmarks.frames import ROOT, frame
from benchmarks.opponents import MANY, HttpServer
from face_service.runtime.processor import in_words, processor
from face_service.tools.bench.load import Plan, run_apart
from face_service.tools.bench.report import percentile

FRAMES = 4
CONNECTIONS = 64


def measure(
    servers: dict[str, HttpServer], images: Sequence[bytes], rates: Sequence[float], seconds: float
) -> list[dict[str, Any]]:
    """Every rate on every server."""
    rows = []
    for rate in rates:
        for name, server in servers.items():
            plan = Plan(CONNECTIONS, MANY, seconds, rate)
            load = run_apart(plan, server.address.host, server.address.port, images)
            p50, p95, p99 = (percentile(load.latencies, p) * 1e3 for p in (50, 95, 99))
            rows.append(
                {
                    "subject": name,
                    "rate": rate,
                    "sent": len(load.samples),
                    "unsent": load.unsent,
                    "errors": load.errors,
                    "p50": p50,
                    "p95": p95,
                    "p99": p99,
                }
            )
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", type=Path, default=ROOT / ".oracle/packs/standin")
    parser.add_argument("--seconds", type=float, default=8, help="per rate and server")
    parser.add_argument("--rates", type=float, nargs="+", default=[1, 2, 2.5, 3, 3.5, 4])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    folder = arguments.pack.resolve()
    variables = dict(item.split("=", 1) for item in arguments.set)
    images = [frame(1, seed) for seed in range(FRAMES)]
    with ExitStack() as stack:
        servers = {
            "naive": stack.enter_context(opponents.naive(folder)),
            "ours": stack.enter_context(opponents.ours(folder, variables, opponents.PYTHON)),
        }
        for server in servers.values():
            opponents.first_answer(server, images[0], time.monotonic())
        rows = measure(servers, images, arguments.rates, arguments.seconds)
    kept.write("arrivals", {"faces": 1, "rows": rows})
    by = {(row["subject"], row["rate"]): row for row in rows}
    print(
        "| requests/s arriving | naive, p50 ms | ours | naive, p99 ms | ours "
        "| naive, given up | ours |\n|---|---|---|---|---|---|---|"
    )
    for rate in arguments.rates:
        naive, ours = by["naive", rate], by["ours", rate]
        print(
            f"| {rate:g} | {naive['p50']:.0f} | {ours['p50']:.0f} | {naive['p99']:.0f} "
            f"| {ours['p99']:.0f} | {naive['unsent']} | {ours['unsent']} |"
        )


if __name__ == "__main__":
    main()
