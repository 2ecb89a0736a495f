"""What an item costs on Ray, in time of processors and memory, against a bare loop over the same
frames (`tests.offline.loop`). `tests.offline.on_ray` prints it.

In turn, as many loops as there are actors and then these take the frames of a round: each of both
has the machine to itself, and is as many processes. A round begins and ends where all actors wait,
so that no start is in it: not Ray's, nor an actor's, an engine's or that of the first round.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from time import monotonic

import psutil
from benchmarks.frames import frame

from tests.conftest import ORACLE, ROOT
from tests.offline.library import write_manifest
from tests.offline.ray_runs import ACTOR, PYTHON, OnRay, last_words, until

ACTORS = 2
ROUNDS = 4
"""The first is no measurement."""
PARTS = 6
"""Of a round."""
FACES = 4
"""A frame has fewer: every fourth has none."""
FRAMES = 28
MODEL = {"INSIGHTFACE_MODEL": str(ORACLE / "packs/standin"), "DET_GATE": "off"}
"""What costs as much as the default pack. The detector gate would take a minute to be made."""
MOST_OF_A_LOOP = 1.05
"""That an item may take of a processor, and a process that embeds of memory."""
PATIENCE_S = 300
SPAWNED = "spawn_main"
"""In the command of a process of `multiprocessing`, and not in that of its tracker's."""
EMBEDDING, ACTORS_OWN, DRIVER, RAYS = "embedding", "actors", "driver", "Ray's"
"""What a process is there for."""
Seconds = Counter[str]
"""Of processors, by what they were for."""


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds of processors for its items, and wall seconds of the actors."""

    items: int
    loops: float
    taken: Seconds
    wall: float

    def of_loop(self, *purposes: str) -> float:
        """What was taken for these, of what the loops took."""
        return sum(self.taken[purpose] for purpose in purposes) / self.loops


@dataclass(frozen=True, slots=True)
class Cost:
    """What was measured. started: what was taken until the first item. Megabytes (PSS) of the
    loops and of the processes that embed."""

    rounds: list[Round]
    started: Seconds
    loops_mb: list[float]
    processes_mb: list[float]

    def share(self, *purposes: str) -> float:
        """Of a loop: the mean of the rounds."""
        return fmean(each.of_loop(*purposes) for each in self.rounds)

    @property
    def kept(self) -> bool:
        """Whether it is as promised."""
        memory = max(self.processes_mb) <= MOST_OF_A_LOOP * max(self.loops_mb)
        return self.share(EMBEDDING, ACTORS_OWN, DRIVER) <= MOST_OF_A_LOOP and memory

    def a_second(self, purpose: str) -> float:
        """Milliseconds of a processor in a second."""
        return fmean(each.taken[purpose] / each.wall for each in self.rounds) * 1e3

    def __str__(self) -> str:
        shares = [each.of_loop(EMBEDDING, ACTORS_OWN, DRIVER) for each in self.rounds]
        loop = fmean(each.loops / each.items for each in self.rounds) * 1e3
        started = ", ".join(f"{what} {taken:.1f}" for what, taken in self.started.items())
        loops_mb, processes_mb = map(in_words, (self.loops_mb, self.processes_mb))
        return (
            f"an item: {fmean(shares):.3f} ({min(shares):.3f} to {max(shares):.3f}) of a loop's "
            f"{loop:.1f} ms of a processor{'' if self.kept else '  (not as promised)'}\n"
            f"    {self.share(EMBEDDING):.3f} to embed it, {self.share(ACTORS_OWN):.3f} for its "
            f"actor, which writes, {self.share(DRIVER):.3f} for the driver\n"
            f"    whatever is embedded: the driver {self.a_second(DRIVER):.0f} ms a second, Ray's "
            f"own processes of two nodes {self.a_second(RAYS):.0f}\n"
            f"    the start, in seconds of processors: {started}\n"
            f"    the processes have {processes_mb} MB, the loops {loops_mb} MB"
        )


def in_words(numbers: list[float]) -> str:
    """Whole numbers, with `and` between."""
    return " and ".join(f"{each:.0f}" for each in numbers)


@dataclass(frozen=True, slots=True)
class Gated:
    """A manifest whose parts begin with an item that waits until the gate of its round is gone. The
    last gate is of what ends the run. count: items of a round."""

    manifest: Path
    gates: list[Path]
    count: int


def gated(folder: Path, rows: int) -> Gated:
    """Frames of 1920×1080 as JPEG, in parts of `rows`."""
    folder.mkdir()
    frames = [folder / f"{number}.jpg" for number in range(FRAMES)]
    for number, path in enumerate(frames):
        path.write_bytes(frame(number % FACES, number))
    gates: list[Path] = []
    items: list[dict[str, object]] = []
    for number in range(ROUNDS + 1):
        gates.append(folder / str(number) / "gate")
        gates[-1].parent.mkdir()
        gates[-1].touch()
        waiting = folder / f"wait{number}.mp4"
        waiting.write_text(f"wait {gates[-1]}")
        for _ in range(PARTS if number < ROUNDS else ACTORS):
            items.append({"id": len(items), "uri": str(waiting), "start_s": 0, "end_s": 0.5})
            for _ in range(rows - 1):
                items.append({"id": len(items), "uri": str(frames[len(items) % FRAMES])})
    return Gated(write_manifest(folder / "gated.csv", items), gates, PARTS * rows)


class Loops:
    """As many loops as actors, with their engines. count: items of a round."""

    def __init__(self, cluster: OnRay, count: int) -> None:
        command = [PYTHON, "-m", "tests.offline.loop", cluster.manifest]
        self.processes = [
            subprocess.Popen(
                [*command, str(place), str(ACTORS), str(count // ACTORS)],
                env=cluster.environment,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for place in range(ACTORS)
        ]

    def _lines(self) -> list[str]:
        return [each.stdout.readline() for each in self.processes if each.stdout]

    def run(self) -> float:
        """A round. Returns the seconds of processors that it took."""
        for each in self.processes:
            print(file=each.stdin, flush=True)
        return sum(map(float, self._lines()))

    @contextmanager
    def loaded(self) -> Iterator[None]:
        """Wait for the engines, and end the loops behind it."""
        with ExitStack() as stack:
            for each in self.processes:
                stack.enter_context(each)
                stack.callback(each.kill)
            assert self._lines() == ["loaded\n"] * ACTORS
            yield


def processes_of(cluster: OnRay, driver: int) -> dict[psutil.Process, str]:
    """Those of the cluster and the driver, and what they are there for."""
    found = {psutil.Process(driver): DRIVER}
    for each in psutil.Process(cluster.cluster.pid).children(recursive=True):
        with suppress(psutil.Error):
            acts = ACTOR in " ".join(each.cmdline())
            found.setdefault(each, ACTORS_OWN if acts else RAYS)
            for child in each.children() if acts else ():
                if SPAWNED in " ".join(child.cmdline()):
                    found[child] = EMBEDDING
    return found


def used(some: dict[psutil.Process, str]) -> Seconds:
    """What they took since they are there."""
    seconds: dict[str, float] = dict.fromkeys((EMBEDDING, ACTORS_OWN, DRIVER, RAYS), 0)
    for process, purpose in some.items():
        with suppress(psutil.Error):
            times = process.cpu_times()
            seconds[purpose] += times.user + times.system
    return Counter(seconds)


def measure(cluster: OnRay, rows: int, within: float) -> tuple[str, Cost]:
    """Embed frames beside loops over them. Returns what the driver says, and the cost."""
    items = gated(cluster.folder / "gated", rows)
    shut = replace(
        cluster,
        manifest=items.manifest,
        environment=cluster.environment | MODEL,
        out=cluster.folder / "embedded",
        timeout=PATIENCE_S,
    )
    loops, rounds = Loops(shut, items.count), []
    with loops.loaded(), shut.start(ACTORS, rows) as driver:

        def all_wait(gate: Path) -> dict[psutil.Process, str]:
            waiting = gate.parent
            until(lambda: len([*waiting.glob("waits-*")]) == ACTORS, shut, driver, within)
            return processes_of(shut, driver.pid)

        try:
            processes = all_wait(items.gates[0])
            assert Counter(processes.values())[EMBEDDING] == ACTORS
            started = used(processes)
            for gate, following in zip(items.gates, items.gates[1:], strict=False):
                looped = loops.run()
                before, began = used(processes), monotonic()
                gate.unlink()
                all_wait(following)
                taken = used(processes)
                taken.subtract(before)
                rounds.append(Round(items.count, looped, taken, monotonic() - began))
            memory = [megabytes(each) for each, what in processes.items() if what == EMBEDDING]
            loops_mb = [megabytes(each) for each in loops.processes]
            items.gates[-1].unlink()
            said = last_words(shut, driver, within)
        finally:
            driver.kill()
    assert len(shut.rows()) == ROUNDS * items.count + ACTORS * rows
    return said, Cost(rounds[1:], started, loops_mb, memory)


def megabytes(process: psutil.Process | subprocess.Popen[str]) -> float:
    """Of memory that a process has, with its part of what it shares."""
    return float(psutil.Process(process.pid).memory_full_info().pss / 1e6)
