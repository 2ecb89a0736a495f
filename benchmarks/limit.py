"""This service at saturation against the bare limit: the runs of the networks with nothing around.

    .venv/bin/python -m benchmarks.limit [--faces 0 1 6] [--rounds 10] [--seconds 3]
        [--set ONNX_PROVIDERS=OpenVINOExecutionProvider] [--python OTHER/bin/python]

Both take turns of a few seconds; a share is that of two turns next to each other, and the table
has the median and the quartiles. The second table says on which threads of the server a request
costs its CPU time. Needs Linux, whose /proc knows.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import opponents
from benchmarks.frames import ROOT, frame
from benchmarks.opponents import MANY, HttpServer, Round
from benchmarks.tables import table
from face_service.runtime.processor import in_words, processor
from face_service.runtime.threads import NICENESS, available_cpus
from face_service.tools.bench.bare import BareProcess
from face_service.tools.bench.load import Plan
from face_service.tools.bench.server import cpu_seconds

FRAMES = 4


class Spent(NamedTuple):
    """Milliseconds of CPU time: the event loop's, decoders', all other threads', the worker's and
    those of ONNX Runtime among them."""

    loop: float
    decoders: float
    networks: float


class Pair(NamedTuple):
    """Two turns next to each other. bare_cpu_ms: CPU time of the bare runs of one image."""

    served: Round
    spent: Spent
    bare: float
    bare_cpu_ms: float

    @property
    def share(self) -> float:
        """Of the bare limit, that the server reached."""
        return self.served.throughput / self.bare


def spent_by(pid: int) -> Spent:
    """CPU time of a server's threads so far; the event loop is its first one."""
    loop = decoders = networks = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        milliseconds = int((task / "schedstat").read_text().split()[0]) / 1e6
        niceness = int((task / "stat").read_text().rpartition(")")[2].split()[16])
        if int(task.name) == pid:
            loop += milliseconds
        elif niceness == NICENESS:
            decoders += milliseconds
        else:
            networks += milliseconds
    return Spent(loop, decoders, networks)


def serve(server: HttpServer, images: Sequence[bytes], plan: Plan) -> tuple[Round, Spent]:
    """A turn of the server, and what it cost a request."""
    assert server.address.process
    before = spent_by(server.address.process.pid)
    served = server.measure(images, plan)
    after = spent_by(server.address.process.pid)
    return served, Spent(*((b - a) / served.answered for a, b in zip(before, after, strict=True)))


def run_bare(bare: BareProcess, seconds: float) -> tuple[float, float]:
    """A turn of the bare limit: images per second, CPU milliseconds an image."""
    before = cpu_seconds(bare.pid) or 0.0
    done = bare.run(seconds)
    return done.throughput, ((cpu_seconds(bare.pid) or 0.0) - before) / done.images * 1e3


def pairs(
    server: HttpServer, bare: BareProcess, images: Sequence[bytes], plan: Plan, rounds: int
) -> list[Pair]:
    """So many pairs; who comes first changes from one to the next."""
    found = []
    for turn in range(rounds):
        if turn % 2:
            limit, served = run_bare(bare, plan.seconds), serve(server, images, plan)
        else:
            served, limit = serve(server, images, plan), run_bare(bare, plan.seconds)
        found.append(Pair(*served, *limit))
    return found


def tables(measured: Mapping[int, Sequence[Pair]]) -> str:
    """Both tables, a line for each number of faces."""
    shares, costs, processors = [], [], available_cpus() * 1e3
    for faces, found in measured.items():
        low, middle, high = statistics.quantiles((pair.share for pair in found), n=4)
        limit = statistics.median(pair.bare for pair in found)
        served = statistics.median(pair.served.throughput for pair in found)
        shares.append(
            f"| {faces} | {limit:.2f} | {served:.2f} | **{middle:.1%}** | {low:.1%} to {high:.1%} |"
        )
        spent = Spent(*map(statistics.median, zip(*(pair.spent for pair in found), strict=True)))
        client = statistics.median(pair.served.client_cpu_ms or 0.0 for pair in found)
        costs.append(
            f"| {faces} | {statistics.median(pair.bare_cpu_ms for pair in found):.1f} "
            f"| {spent.networks:.1f} | {spent.decoders:.1f} | {spent.loop:.1f} | {client:.1f} "
            f"| {processors / limit:.1f} | {processors / served:.1f} |"
        )
    head = "| faces | bare limit, images/s | served, requests/s | share | quartiles |"
    cost_head = (
        "| faces | bare, CPU ms an image | worker and networks, CPU ms a request | decoders "
        "| event loop | client | bare, processors × time, ms | served |"
    )
    return f"{table(head, shares)}\n\n{table(cost_head, costs)}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", type=Path, default=ROOT / ".oracle/packs/standin")
    parser.add_argument("--faces", type=int, nargs="+", default=[0, 1, 6])
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3, help="per turn")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--python", default=opponents.PYTHON, help="runs this service")
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    pack, variables = arguments.pack.resolve(), dict(item.split("=", 1) for item in arguments.set)
    plan = Plan(arguments.clients, MANY, arguments.seconds)
    measured = {}
    with opponents.ours(pack, variables, arguments.python) as server:
        for faces in arguments.faces:
            images = [frame(faces, seed) for seed in range(FRAMES)]
            server.measure(images, Plan(arguments.clients, 4 * FRAMES, 60))
            with opponents.bare(pack, variables, arguments.python, images) as bare:
                measured[faces] = pairs(server, bare, images, plan, arguments.rounds)
    print(tables(measured))


if __name__ == "__main__":
    main()
