"""Which input shapes a provider is given: few, and known before the first request.

A new shape costs a MIGraphX program a compilation of minutes, a CUDA arena another block that
stays, a TensorRT engine a new build. So images go on a handful of canvases, and faces in batches
whose sizes are given here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

MAX_BATCH = 8
"""Most faces that are described at once on a CPU, before something else may run."""

MAX_FACES = 512
"""Default of the setting of that name. A crowd has tens of faces; a `min_score` of 0 finds a
thousand and more in any picture, and each would cost as much as a face."""

MAX_BATCH_IMAGES = 16
"""Most images that an accelerator is given in one batch."""


class Run(NamedTuple):
    """One run of a network: `rows` of input, filled up with zeros to `batch` rows."""

    rows: int
    batch: int


@dataclass(frozen=True, slots=True)
class ShapePolicy:
    """The input shapes a provider takes.

    kind: "dynamic": any; one session for all. "bounded": only those announced; one session for all.
    "fixed": only those announced, and a session for each, whose graph has no free axis.
    batches: rows that a run may have, ascending, from 1 on unless the graph fixes them.
    pads: fill up the last run to the next larger batch. An accelerator computes four faces about as
    fast as three; a CPU takes for every row the same time, so it gets smaller runs instead.
    """

    kind: Literal["dynamic", "bounded", "fixed"]
    batches: tuple[int, ...]
    pads: bool = False

    def runs(self, rows: int) -> Iterator[Run]:
        """The runs for `rows` rows, in order; none for 0."""
        while rows > 0:
            fitting = [batch for batch in self.batches if batch <= rows]
            if fitting and (not self.pads or fitting[-1] in (rows, self.batches[-1])):
                run = Run(fitting[-1], fitting[-1])
            else:
                run = Run(rows, next(batch for batch in self.batches if batch > rows))
            yield run
            rows -= run.rows

    def for_fixed_batch(self, batch: int | None) -> ShapePolicy:
        """The policy for a graph whose first axis is fixed to `batch`; itself for None, a free
        axis."""
        return self if batch is None else ShapePolicy(self.kind, (batch,), pads=True)

    def with_max_batch(self, batch: int) -> ShapePolicy | None:
        """The policy with runs of at most `batch` rows; None where its smallest is larger."""
        smaller = tuple(size for size in self.batches if size <= batch)
        return replace(self, batches=smaller) if smaller else None


# The batches are guesses until somebody measures them on a card: docs/decisions/0018.
DYNAMIC = ShapePolicy("dynamic", (1,))
BOUNDED = ShapePolicy("bounded", (1, 2, 4, 8, 16), pads=True)
FIXED = ShapePolicy("fixed", (1, 2, 4, 8), pads=True)
BOUNDED_ON_CPU = ShapePolicy("bounded", (1, 2, 4, 8))
