"""What kinds of work suit a provider."""

from __future__ import annotations

from collections.abc import Sequence

ON_THE_CPU = frozenset({"CPUExecutionProvider", "OpenVINOExecutionProvider"})

IMAGES_PER_TURN = 16
"""Images that an accelerator is given at once, at most."""


def images_per_turn(providers: Sequence[str]) -> int:
    """How many waiting images a lane may take in one turn.

    An accelerator is faster at many faces at once. A CPU is not (72 → 67 ms a face), and
    the first image of a batch would wait for the last: there it is one.
    """
    return 1 if providers[0] in ON_THE_CPU else IMAGES_PER_TURN
