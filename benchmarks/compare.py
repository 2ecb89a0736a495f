"""This service against the obvious one and against insightface in a loop, in turn.

    .venv/bin/python -m benchmarks.compare [--pack starter] [--rounds 5] [--seconds 2.5]
        [--clients 1 4 32] [--set PRECISION=bf16] [--python OTHER/bin/python] [--name NAME]

Starts all of them, lets each answer the same frames for some seconds, one after the other,
round by round, and prints medians and ratios as Markdown; benchmarks/results/CLASS/NAME.json
holds every round. The obvious service is ../shared/tools/naive_service.py, the loop
benchmarks/insightface_loop.py; both run in the environment that scripts/oracle.sh makes,
and neither can run the starter pack, whose recogniser takes BGR and one face a run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import kept, opponents, tables
from benchmarks.frames import ROOT, frame
from benchmarks.opponents import MANY, HttpServer, Round, Subject, median_round
from face_service.runtime.processor import in_words, processor
from face_service.tools.bench.load import Plan

FRAMES = 4
FEW_ROUNDS = 2
"""Rounds of the cells that only draw a curve."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A line of a table: so many faces in a frame, so many clients."""

    faces: int
    clients: int

    @property
    def main(self) -> bool:
        """Whether a target is set for it."""
        return self.faces in (0, 1, 6) and self.clients in (1, 4)


@dataclass(slots=True)
class Results:
    """Everything that was measured. processor: its class and name, in words."""

    processor: str
    pack: str
    variables: dict[str, str]
    starts: dict[str, list[float]] = field(default_factory=dict)
    cells: list[dict[str, Any]] = field(default_factory=list)
    peak_rss_mb: dict[str, float | None] = field(default_factory=dict)

    def add(self, cell: Cell, subject: str, rounds: list[Round]) -> None:
        """Keep the rounds of one subject."""
        self.cells.append(
            {
                **asdict(cell),
                "subject": subject,
                **asdict(median_round(rounds)),
                "rounds": [
                    {"throughput": one.throughput, "p50": one.p50, "p99": one.p99} for one in rounds
                ],
            }
        )

    def write(self, name: str) -> None:
        """To benchmarks/results."""
        kept.write(name, asdict(self))


class Comparison:
    """The processes that are compared, and how."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.folder: Path = arguments.pack
        self.alone = not self.folder.is_dir()
        self.python: str = arguments.python
        self.variables = dict(item.split("=", 1) for item in arguments.set)
        self.arguments = arguments
        self.results = Results(in_words(processor()), self.folder.name, self.variables)

    def start(self, name: str, stack: ExitStack) -> HttpServer:
        """Start one of the two servers; it may not be ready yet."""
        if name == "naive":
            return stack.enter_context(opponents.naive(self.folder))
        return stack.enter_context(opponents.ours(self.folder, self.variables, self.python))

    def servers(self) -> tuple[str, ...]:
        """Those that can run this pack."""
        return ("ours",) if self.alone else ("naive", "ours")

    def measure_starts(self) -> None:
        """Seconds from nothing to the first answered frame; a start before that warms the
        page cache."""
        image = frame(0, 0)
        for turn in range(self.arguments.starts + 1):
            for name in self.servers():
                with ExitStack() as stack:
                    since = time.monotonic()
                    server = self.start(name, stack)
                    seconds = opponents.first_answer(server, image, since)
                if turn:
                    self.results.starts.setdefault(name, []).append(seconds)

    def measure(self, cells: Sequence[Cell]) -> None:
        """All cells, those with the same faces one after the other."""
        with ExitStack() as stack:
            subjects: dict[str, Subject] = {}
            for name in self.servers():
                since = time.monotonic()
                server = self.start(name, stack)
                opponents.first_answer(server, frame(1, 0), since)
                subjects[name] = server
            if not self.alone:
                loop = stack.enter_context(opponents.insightface_loop(self.folder))
                subjects["loop"] = loop
            for faces in dict.fromkeys(cell.faces for cell in cells):
                images = [frame(faces, seed) for seed in range(FRAMES)]
                for name in subjects:  # every canvas and batch size once
                    subjects[name].measure(images, Plan(1, len(images), 60))
                for cell in (cell for cell in cells if cell.faces == faces):
                    self.measure_cell(cell, subjects, images)
            self.results.peak_rss_mb = {
                name: subject.peak_rss_mb() for name, subject in subjects.items()
            }

    def measure_cell(
        self, cell: Cell, subjects: dict[str, Subject], images: Sequence[bytes]
    ) -> None:
        """Rounds of everybody, in turn; who comes first changes from round to round."""
        plan = Plan(cell.clients, MANY, self.arguments.seconds)
        here = [name for name in subjects if name != "loop" or cell.clients == 1]
        rounds: dict[str, list[Round]] = {name: [] for name in here}
        for turn in range(self.arguments.rounds if cell.main else FEW_ROUNDS):
            for name in here if turn % 2 == 0 else reversed(here):
                rounds[name].append(subjects[name].measure(images, plan))
        for name in here:
            self.results.add(cell, name, rounds[name])


def cells_of(faces: Sequence[int], clients: Sequence[int]) -> list[Cell]:
    """One client for every number of faces, four for the main ones, the rest with one face."""
    return [
        Cell(face, client)
        for face in faces
        for client in clients
        if (face in (0, 6) and client == 4) or face == 1 or client == 1
    ]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--pack",
        type=Path,
        default=ROOT / ".oracle/packs/standin",
        help="a folder of networks; or a pack's name, which only this service runs",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.5, help="per round and server")
    parser.add_argument("--faces", type=int, nargs="+", default=[0, 1, 3, 6])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--starts", type=int, default=3, help="0 leaves the start out")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--python", default=opponents.PYTHON, help="runs this service")
    parser.add_argument("--name", help="of the file in benchmarks/results")
    arguments = parser.parse_args()
    if arguments.pack.is_dir():
        arguments.pack = arguments.pack.resolve()
    comparison = Comparison(arguments)
    if arguments.starts:
        comparison.measure_starts()
    comparison.measure(cells_of(arguments.faces, arguments.clients))
    results = comparison.results
    results.write(arguments.name or f"compare-{results.pack}")
    print(tables.of(asdict(results)))


if __name__ == "__main__":
    main()
