"""The results of benchmarks.compare as Markdown.

.venv/bin/python -m benchmarks.tables benchmarks/results/CLASS/compare-standin.json
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def of(results: dict[str, Any]) -> str:
    """Every table there is something for."""
    rows = {(row["faces"], row["clients"], row["subject"]): row for row in results["cells"]}
    parts = [against_naive(rows), against_loop(rows)]
    parts += [cost(rows), stages(rows)]
    parts.append(start_and_memory(results))
    title = " ".join([f"Pack {results['pack']}", *map("=".join, results["variables"].items())])
    return "\n\n".join([results["processor"], title, *(part for part in parts if part)])


def table(head: str, lines: Iterable[str]) -> str:
    """A Markdown table; empty without lines."""
    body = list(lines)
    rule = "|" + "---|" * (head.count("|") - 1)
    return "\n".join([head, rule, *body]) if body else ""


def cells(rows: dict[Any, Row]) -> list[tuple[int, int]]:
    """Faces and clients, in the order measured."""
    return list(dict.fromkeys((faces, clients) for faces, clients, _ in rows))


def against_naive(rows: dict[Any, Row]) -> str:
    """Throughput and latency of both servers; of ours alone if the other was not there."""
    lines = []
    for faces, clients in cells(rows):
        ours, naive = rows[faces, clients, "ours"], rows.get((faces, clients, "naive"))
        if naive:
            lines.append(
                f"| {faces} | {clients} | {naive['throughput']:.2f} | {ours['throughput']:.2f} "
                f"| **{ours['throughput'] / naive['throughput']:.2f}×** "
                f"| {naive['p50']:.0f} | {ours['p50']:.0f} "
                f"| **{ours['p50'] / naive['p50']:.2f}×** "
                f"| {naive['p99']:.0f} | {ours['p99']:.0f} |"
            )
        else:
            lines.append(
                f"| {faces} | {clients} | {ours['throughput']:.2f} | {ours['p50']:.0f} "
                f"| {ours['p99']:.0f} |"
            )
    if any(subject == "naive" for *_, subject in rows):
        return table(
            "| faces | clients | naive, requests/s | ours | ratio | naive, p50 ms | ours | ratio "
            "| naive, p99 ms | ours |",
            lines,
        )
    return table("| faces | clients | requests/s | p50 ms | p99 ms |", lines)


def against_loop(rows: dict[Any, Row]) -> str:
    """One caller of insightface without HTTP against this service over HTTP."""
    lines = []
    for faces, clients in cells(rows):
        loop = rows.get((faces, clients, "loop"))
        if loop:
            ours, busy = rows[faces, clients, "ours"], rows.get((faces, 4, "ours"))
            most = f"{busy['throughput'] / loop['throughput']:.2f}×" if busy else ""
            lines.append(
                f"| {faces} | {loop['throughput']:.2f} | {loop['p50']:.0f} | {ours['p50']:.0f} "
                f"| **{ours['p50'] / loop['p50']:.2f}×** | {most} |"
            )
    return table(
        "| faces | loop, frames/s | loop, p50 ms | ours, 1 client, p50 ms | ratio "
        "| throughput, ours with 4 clients / loop |",
        lines,
    )


def cost(rows: dict[Any, Row]) -> str:
    """CPU time a request, and whether a long queue costs more than its length."""
    lines = []
    for faces, clients in cells(rows):
        both = [rows.get((faces, clients, name)) for name in ("naive", "ours")]
        if clients in (1, 4, 32):
            # Who comes last waits for all the others: clients / throughput seconds.
            queue = [
                f"{row['p99'] / (clients / row['throughput'] * 1e3):.2f}" if row else ""
                for row in both
            ]
            cpu = [f"{row['cpu_ms']:.0f}" if row and row["cpu_ms"] else "" for row in both]
            ours = rows[faces, clients, "ours"]
            lines.append(
                f"| {faces} | {clients} | {' | '.join(cpu)} | {ours['client_cpu_ms']:.1f} "
                f"| {' | '.join(queue)} |"
            )
    return table(
        "| faces | clients | naive, CPU ms a request | ours | client's own "
        "| naive, p99 / (clients × service time) | ours |",
        lines,
    )


def stages(rows: dict[Any, Row]) -> str:
    """Where a request of a single client spends its time."""
    alone = [row for (_, clients, name), row in rows.items() if name == "ours" and clients == 1]
    names = list(dict.fromkeys(name for row in alone for name in row["stages"] or {}))
    return table(
        "| faces, 1 client | " + " | ".join(f"{name}, ms" for name in names) + " | in all, ms |",
        (
            f"| {row['faces']} | "
            + " | ".join(f"{row['stages'].get(name, 0):.1f}" for name in names)
            + f" | {row['p50']:.0f} |"
            for row in alone
        ),
    )


def start_and_memory(results: dict[str, Any]) -> str:
    """Seconds to the first answer, and the most memory held."""
    names = {"naive": "naive", "ours": "ours", "loop": "insightface in a loop"}
    lines = []
    for name, memory in results["peak_rss_mb"].items():
        starts = results["starts"].get(name)
        first = f"{statistics.median(starts):.1f}" if starts else ""
        lines.append(f"| {names[name]} | {first} | {memory:,.0f} |")
    return table("| | start to first answered frame, s | peak memory, MB |", lines)


if __name__ == "__main__":
    print(of(json.loads(Path(sys.argv[1]).read_text())))
