"""What the scheduler gives on machines of more cores than this one, modelled.

    .venv/bin/python -m benchmarks.studies.scaling [--pack .oracle/packs/standin] [--rounds 9]

Measures, in turn, a run of the detector on a 1080p frame's canvas and one of the recogniser on one
face, on one thread and on every core. From these two comes the share of a run that is not computed
in parallel (Amdahl), and from that the time on other numbers of threads. Prints images a second and
the latency of one client for an image with 0, 1 and 6 faces: of one worker that has all cores, one
face after the other, as it was before decision 0012, and of the scheduler: alone on all cores, its
faces side by side, and as many images side by side as there are cores. Memory bandwidth, decoding
and the event loop are not in the model.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.frames import ROOT
from benchmarks.tables import table
from face_service.packs.entries import Role
from face_service.packs.local import load_folder
from face_service.runtime.network import Network, load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.processor import in_words, processor
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.runtime.threads import available_cpus

CORES = (2, 4, 8, 16)
FACES = (0, 1, 6)
SHAPES = {Role.DETECTION: (1, 3, 384, 640), Role.RECOGNITION: (1, 3, 112, 112)}


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a network. alone: seconds on one thread. serial: share of it, 0..1, that no second
    thread shortens."""

    alone: float
    serial: float

    @classmethod
    def fitted(cls, alone: float, together: float, threads: int) -> Run:
        """From the seconds on one thread and on `threads`."""
        serial = (threads * together / alone - 1) / (threads - 1) if threads > 1 else 0.0
        return cls(alone, min(1.0, max(0.0, serial)))

    def on(self, threads: int) -> float:
        """Seconds on so many threads."""
        return self.alone * (self.serial + (1 - self.serial) / threads)


def faces_side_by_side(run: Run, faces: int, threads: int) -> float:
    """Seconds for the faces of an image, as Network.run_batched arranges them."""
    full, rest = divmod(faces, threads)
    last = run.alone if 2 * rest > threads else rest * run.on(threads)
    return full * run.alone + last


def measured(network: Network, role: Role, threads: int, rounds: int) -> Run:
    """A network's run, measured on one thread and on all in turn."""
    blob = np.zeros(SHAPES[role], np.float32)
    seconds: dict[int, list[float]] = {1: [], threads: []}
    for _ in range(rounds + 1):
        for width, times in seconds.items():
            started = time.perf_counter()
            network.run(blob, width)
            times.append(time.perf_counter() - started)
    alone, together = (statistics.median(times[1:]) for times in seconds.values())
    return Run.fitted(alone, together, threads)


def line(cores: int, faces: int, detect: Run, embed: Run) -> str:
    """A row of the table."""
    before = detect.on(cores) + faces * embed.on(cores)
    alone = detect.on(cores) + faces_side_by_side(embed, faces, cores)
    side_by_side = cores / (detect.alone + faces * embed.alone)
    return (
        f"| {cores} | {faces} | {1 / before:.1f} | {side_by_side:.1f} | "
        f"**{side_by_side * before:.2f}×** | {1e3 * before:.0f} | {1e3 * alone:.0f} | "
        f"**{alone / before:.2f}×** |"
    )


def main() -> None:
    """Measure, and print the model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pack", type=Path, default=ROOT / ".oracle" / "packs" / "standin")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    threads = available_cpus()
    if threads == 1:
        raise SystemExit("One core says nothing about several.")
    pack = load_folder(given.pack)
    config = RuntimeConfig(threads=threads, narrower=(1,), cache=ROOT / "models" / ".compiled")
    runs = []
    for role, shape in SHAPES.items():
        model = pack.models[role]
        spec = NetworkSpec(model.path, model.sha256, (shape[2:],))
        (network,) = load_networks([spec], (CPU,), config)
        runs.append(measured(network, role, threads, given.rounds))
        print(
            f"{model.path.name}: {1e3 * runs[-1].alone:.0f} ms on one thread, "
            f"{1e3 * runs[-1].on(threads):.0f} on {threads}, not in parallel {runs[-1].serial:.1%}"
        )
    head = "| cores | faces | images/s before | now | ratio | alone, ms before | now | ratio |"
    rows = [line(cores, faces, *runs) for cores in CORES for faces in FACES]
    print("\n" + in_words(processor()) + "\n")
    print(table(head, rows))


if __name__ == "__main__":
    main()
