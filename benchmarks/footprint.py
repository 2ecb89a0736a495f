"""What a server takes before and while it works: time to start, memory, processes side by side.

    git worktree add ../older 8b9539d     # with ../shared beside it
    .venv/bin/python -m benchmarks.footprint ../older [--rounds 5] [--faces 1] [--clients 32]
        [--seconds 5] [--processes 4]

Both builds run in this environment, each from its own source, in turn, a fresh process each time;
what the disk, the caches of compiled networks and those of Python's bytecode hold is warm: an
installed package has the latter, whatever PYTHONDONTWRITEBYTECODE says here. Prints medians and the
medians of the ratios within a round. Memory is the peak of the resident memory while the clients
are answered, mapped files among it, places of files that a process maps twice counted once; for
the processes side by side it is the proportional set size (PSS: what several share is divided among
them).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.frames import ROOT, frame
from benchmarks.opponents import MANY, PYTHON, HttpServer, ours
from benchmarks.tables import table
from face_service.runtime.processor import in_words, processor
from face_service.tools.bench.load import Plan

FRAMES = 4


def pss_mb(server: HttpServer) -> float:
    """The proportional set size of a server now, in 10^6 bytes."""
    assert server.address.process
    lines = Path(f"/proc/{server.address.process.pid}/smaps_rollup").read_text().splitlines()
    (kilobytes,) = (int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes * 1024 / 1e6


class Footprint:
    """Measures one build after the other on the same frames."""

    def __init__(self, pack: Path, faces: int, clients: int, seconds: float) -> None:
        self._pack = pack
        self._images = [frame(faces, seed) for seed in range(FRAMES)]
        self._plan = Plan(clients, MANY, seconds)

    def start(self, variables: Mapping[str, str]) -> float:
        """Seconds from the start of a process until /health says healthy."""
        since = time.monotonic()
        with ours(self._pack, variables, PYTHON):
            return time.monotonic() - since

    def peak(self, variables: Mapping[str, str]) -> float:
        """The most memory of a fresh process while the clients are answered, in 10^6 bytes."""
        with ours(self._pack, variables, PYTHON) as server:
            server.measure(self._images, self._plan)
            return server.peak_rss_mb() or 0

    def side_by_side(self, variables: Mapping[str, str], processes: int) -> float:
        """The memory of so many processes together, each of which has answered the frames."""
        with ExitStack() as stack:
            servers = [
                stack.enter_context(ours(self._pack, variables, PYTHON)) for _ in range(processes)
            ]
            for server in servers:
                server.measure(self._images, Plan(4, 4 * FRAMES, 60))
            return sum(pss_mb(server) for server in servers)


def line(what: str, unit: str, was: Sequence[float], now: Sequence[float]) -> str:
    """A row of the table."""
    ratio = statistics.median(after / before for before, after in zip(was, now, strict=True))
    digits = 1 if unit == "s" else 0
    before, after = (f"{statistics.median(values):.{digits}f} {unit}" for values in (was, now))
    return f"| {what} | {before} | {after} | **{ratio:.2f}×** |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("older", type=Path, help="a checkout of the older build")
    parser.add_argument("--pack", type=Path, default=ROOT / ".oracle/packs/standin")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--faces", type=int, default=1)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--processes", type=int, default=4)
    arguments = parser.parse_args()
    measure = Footprint(arguments.pack, arguments.faces, arguments.clients, arguments.seconds)
    kept = TemporaryDirectory()
    newer = {"PYTHONPYCACHEPREFIX": kept.name, "PYTHONDONTWRITEBYTECODE": ""}
    older = {**newer, "PYTHONPATH": str((arguments.older / "src").resolve())}
    one, two = {**newer, "WORKERS": "1"}, {**newer, "WORKERS": "2"}
    for variables in (older, newer):
        measure.start(variables)  # whatever a first start compiles
    turns = range(arguments.rounds)
    starts = [(measure.start(older), measure.start(newer)) for _ in turns]
    peaks = [(measure.peak(older), measure.peak(newer)) for _ in turns]
    workers = [(measure.peak(one), measure.peak(two)) for _ in turns]
    many = arguments.processes
    shared = [(measure.side_by_side(newer, 1), measure.side_by_side(newer, many)) for _ in turns]
    load = f"{arguments.clients} clients, {arguments.faces} face(s)"
    print(in_words(processor()), end="\n\n")
    print(
        table(
            "| | before | after | ratio |",
            [
                line("start to ready: older, newer", "s", *zip(*starts, strict=True)),
                line(f"peak memory, {load}: older, newer", "MB", *zip(*peaks, strict=True)),
                line(f"peak memory, {load}: 1 worker, 2", "MB", *zip(*workers, strict=True)),
                line(f"PSS: 1 process, {many} together", "MB", *zip(*shared, strict=True)),
            ],
        )
    )


if __name__ == "__main__":
    main()
