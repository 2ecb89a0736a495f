"""How long each stage of a request took, and when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Interval(NamedTuple):
    """One run of a stage; seconds on the clock time.perf_counter()."""

    stage: str
    started: float
    ended: float


class StageTimes(dict[str, float]):
    """Milliseconds by stage, in the order in which the stages first ran.

    `intervals`: every run of every stage; a stage runs several times in a request of many images.
    """

    def __init__(self) -> None:
        super().__init__()
        self.intervals: list[Interval] = []

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the duration of the block to `stage`, also where the block raises."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, started, time.perf_counter())

    def add(self, stage: str, started: float, ended: float) -> None:
        """Add a run of `stage`; `started` and `ended` in seconds on time.perf_counter()."""
        self[stage] = self.get(stage, 0.0) + (ended - started) * 1e3
        self.intervals.append(Interval(stage, started, ended))

    def include(self, other: StageTimes) -> None:
        """Add all stages and intervals of `other`."""
        for stage, milliseconds in other.items():
            self[stage] = self.get(stage, 0.0) + milliseconds
        self.intervals += other.intervals
