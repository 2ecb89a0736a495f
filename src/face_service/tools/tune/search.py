"""Which settings to try, and which of them is best within bounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Literal

Variables = Mapping[str, str]
"""Settings by the name of their environment variable."""

Accuracy = Literal["same", "close", "other"]
"""What answers may become. same: nothing changes. close: the detector gate may run, which may miss
a faint face. other: another precision, whose embeddings are a space of their own, and a smaller
canvas, on which small faces are missed."""

BETTER = 1.04
"""By which factor a change must raise the throughput: repeated measurements of a second differ by
less."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured. throughput, alone: requests a second of all clients, and of one. p50, p95:
    latency in milliseconds, of one client and of all. memory: peak, 10^6 bytes; None where it is
    unknown."""

    throughput: float
    alone: float
    p50: float
    p95: float
    memory: float | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a setting must keep. latency: milliseconds of p95 with all clients. memory: 10^6 bytes.
    None for no bound."""

    latency: float | None = None
    memory: float | None = None

    def kept(self, figures: Figures) -> bool:
        """Whether figures are within the bounds; memory that is unknown counts as within."""
        return (self.latency is None or figures.p95 <= self.latency) and (
            self.memory is None or figures.memory is None or figures.memory <= self.memory
        )


@dataclass(slots=True)
class Trial:
    """A setting that was tried. variables: what differs from today's. figures: of each measurement
    that succeeded. failure: why the last one that failed did; None where none has."""

    variables: Variables
    figures: list[Figures] = field(default_factory=list)
    failure: str | None = None

    @property
    def throughput(self) -> float:
        """Requests a second of all clients, the mean of `figures`; 0 without any."""
        return mean(each.throughput for each in self.figures) if self.figures else 0.0

    def kept(self, bounds: Bounds) -> bool:
        """Whether all figures are within the bounds; False without any."""
        return bool(self.figures) and all(bounds.kept(each) for each in self.figures)


def search(
    measure: Callable[[Variables], Figures],
    knobs: Iterable[Sequence[Variables]],
    bounds: Bounds,
    budget: float,
    tried: Callable[[Trial], object] = lambda _: None,
) -> tuple[list[Trial], Trial]:
    """Try the alternatives of each knob, one knob after the other, on top of the best so far.

    measure: raises RuntimeError where a setting does not work. knobs: the alternatives of each;
    they are read one by one, so that they may depend on the first measurement. budget: seconds
    after the first measurement, when no further knob is tried. tried: called with each trial
    after each of its measurements. Returns all trials, today's setting first, and the best: most
    requests a second within bounds, today's setting unless another is better by `BETTER`. Where
    none keeps the bounds, the best is today's setting, which does not either.
    """

    def run(trial: Trial) -> Trial:
        try:
            trial.figures.append(measure(trial.variables))
        except RuntimeError as error:
            trial.failure = str(error)
        tried(trial)
        return trial

    best = run(Trial({}))
    until = time.monotonic() + budget
    trials = [best]
    for alternatives in knobs:
        if time.monotonic() > until:
            break
        challengers = [run(Trial({**best.variables, **each})) for each in alternatives]
        trials += challengers
        promising = [each for each in challengers if surpasses(each, best, bounds)]
        if promising:  # both once more, in turn: the machine may have changed between them
            strongest = max(promising, key=lambda trial: trial.throughput)
            run(best)
            run(strongest)
            if surpasses(strongest, best, bounds):
                best = strongest
    return trials, best


def surpasses(challenger: Trial, best: Trial, bounds: Bounds) -> bool:
    """Whether a trial is to replace the best so far."""
    if challenger.failure is not None or not challenger.kept(bounds):
        return False
    return not best.kept(bounds) or challenger.throughput > BETTER * best.throughput
