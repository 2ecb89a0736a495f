"""What an item costs on Ray, in time of processors and memory, against a bare loop over the same
frames (`tests.offline.loop`), which runs at the same time. `tests.offline.on_ray` prints it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from tests.conftest import ROOT
from tests.offline.ray_runs import ACTOR, PYTHON, OnRay, last_words, until

ACTORS = 2
MOST_OF_A_LOOP = 1.05
"""That an item may take of a processor."""
MOST_MEMORY = 1.05
"""That the process of an actor may take of the loop's."""
PATIENCE_S = 300
SPAWNED = "spawn_main"
"""In the command of a process of `multiprocessing`, and not in that of its tracker's."""
LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of a processor for an item in the loop, in the processes that embed, and in the
    actors whose they are; megabytes (PSS) of the loop, and of each process that embeds."""

    loop: float
    embedding: float
    actors: float
    loop_mb: float
    process_mb: list[float]

    @property
    def kept(self) -> bool:
        """Whether it is as promised."""
        memory = max(self.process_mb) <= MOST_MEMORY * self.loop_mb
        return self.embedding + self.actors <= MOST_OF_A_LOOP * self.loop and memory

    def __str__(self) -> str:
        mb = " and ".join(f"{each:.0f}" for each in self.process_mb)
        return (
            f"an item: {self.embedding / self.loop:.3f} of a loop's {self.loop * 1e3:.1f} ms of a "
            f"processor to embed it, {self.actors / self.loop:.3f} for its actor, which writes; "
            f"the processes have {mb} MB, the loop {self.loop_mb:.0f} MB"
            f"{'' if self.kept else '  (not as promised)'}"
        )


def gated(manifest: Path, rows: int) -> tuple[Path, Path, int]:
    """The manifest with an item at the head of each part that waits until `gate` is gone: every
    actor has its engine then, and nothing behind it. Returns it, `gate`, and how many items it
    has."""
    gate = manifest.with_name("gate")
    gate.touch()
    waiting = manifest.with_name("wait.mp4")
    waiting.write_text(f"wait {gate}")
    first, *lines = manifest.read_text().splitlines(keepends=True)
    heads = range(0, len(lines), rows - 1)
    parts = [
        "".join([f"{100_000 + head},{waiting},0,0.5\n", *lines[head : head + rows - 1]])
        for head in heads
    ]
    path = manifest.with_name("gated.csv")
    path.write_text(first + "".join(parts))
    return path, gate, len(lines) + len(heads)


@contextmanager
def looping(cluster: OnRay, manifest: Path) -> Iterator[subprocess.Popen[str]]:
    """The loop, with its engine."""
    loop = subprocess.Popen(
        [PYTHON, "-m", "tests.offline.loop", manifest],
        env=cluster.environment,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert loop.stdin and loop.stdout
    with loop:
        try:
            assert loop.stdout.readline() == "loaded\n"
            yield loop
        finally:
            loop.kill()


class Processes:
    """The actors of a cluster and the processes in which they embed."""

    def __init__(self, cluster: OnRay) -> None:
        self.embedding: list[psutil.Process] = []
        self.actors: list[psutil.Process] = []
        for each in psutil.Process(cluster.cluster.pid).children(recursive=True):
            with suppress(psutil.Error):
                if ACTOR in " ".join(each.cmdline()):
                    self.actors.append(each)
                    self.embedding += [
                        child for child in each.children() if SPAWNED in " ".join(child.cmdline())
                    ]
        self._seen = {each: self._now(each) for each in [*self.actors, *self.embedding]}
        self._began = dict(self._seen)

    @staticmethod
    def _now(process: psutil.Process) -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    def look(self) -> None:
        """Keep what each has used, as long as it is there."""
        for process in self._seen:
            with suppress(psutil.Error):
                self._seen[process] = self._now(process)

    def used(self, some: list[psutil.Process]) -> float:
        """Seconds of processors of some, since the beginning."""
        return sum(self._seen[each] - self._began[each] for each in some)


def measure(cluster: OnRay, rows: int, within: float) -> tuple[str, Cost]:
    """Embed a library beside a loop over it. Returns what the driver says, and the cost."""
    manifest, gate, count = gated(cluster.manifest, rows)
    shut = replace(cluster, manifest=manifest, timeout=PATIENCE_S)
    with looping(shut, manifest) as loop, shut.start(ACTORS, rows) as driver:
        try:
            until(lambda: len([*gate.parent.glob("waits-*")]) == ACTORS, shut, driver, within)
            processes = Processes(shut)
            assert len(processes.embedding) == ACTORS
            print(file=loop.stdin, flush=True)
            gate.unlink()
            until(lambda: shut.parts() >= 2 * ACTORS, shut, driver, within)
            memory, loop_mb = [megabytes(each) for each in processes.embedding], megabytes(loop)
            while driver.poll() is None:
                processes.look()
                time.sleep(LOOK_S)
            said = last_words(shut, driver, within)
        finally:
            driver.kill()
        assert loop.stdout
        taken = float(loop.stdout.readline())
    assert len(shut.rows()) == count
    embedding, actors = processes.used(processes.embedding), processes.used(processes.actors)
    return said, Cost(taken / count, embedding / count, actors / count, loop_mb, memory)


def megabytes(process: psutil.Process | subprocess.Popen[str]) -> float:
    """Of memory that a process has, with its part of what it shares."""
    return float(psutil.Process(process.pid).memory_full_info().pss / 1e6)
