"""Whether the detector gate runs, and what /health says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GateMode = Literal["auto", "on", "off"]
GateState = Literal["running", "idle", "building", "none"]
"""idle: there is a gate, which does not run: on recent frames it would cost more than it saves.
building: it is being found or made. none: there is none."""
Verdict = Literal["empty", "perhaps", "skipped"]
"""Of the gate about an image: no face, so the detector did not run; perhaps one, so it did; the
gate did not run."""
SKIPPED: Verdict = "skipped"

RATE = 1 / 32
"""Weight of a frame in the averages: they follow the last second or two of a video."""
FORGETTING = 1 / 1024
"""Weight of a frame in `caught` while the gate does not run: it goes back to 1, so that the gate is
tried again."""
MARGIN = 0.05
"""Share of a detection that the gate must save per frame to be switched on; it stays on while it
saves any."""


class GatePolicy:
    """Whether the gate runs: always, or while it saves more than it costs.

    cost: CPU time of a run of the gate, as a share of a detection's; a detection is saved where a
    frame is empty and the gate says so. empty: share of frames without a face lately, 0..1. caught:
    share of these, 0..1, of which the gate said so. One for all engines of a process, whose threads
    may lose an update to each other.
    """

    def __init__(self, mode: GateMode, cost: float) -> None:
        self.cost = cost
        self.empty = 0.0
        self.caught = 1.0
        self._always = mode == "on"
        self._pays = False

    @property
    def running(self) -> bool:
        """Whether the gate looks at the next frame."""
        return self._always or self._pays

    def record(self, verdict: Verdict, empty: bool) -> None:
        """Count a frame: what the gate said, and whether it was without a face."""
        self.empty += RATE * (empty - self.empty)
        if verdict == "skipped":
            self.caught += FORGETTING * (1 - self.caught)
        elif empty:
            self.caught += RATE * ((verdict == "empty") - self.caught)
        saved = self.empty * self.caught - self.cost
        self._pays = saved > (0 if self._pays else MARGIN)


@dataclass(frozen=True, slots=True)
class GateStatus:
    """What /health says: see schemas/status.py."""

    mode: GateMode = "off"
    state: GateState = "none"
    detail: str | None = None
    cost: float | None = None
    empty: float | None = None
