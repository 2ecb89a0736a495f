"""Why work is cancelled: asyncio hands a word from `NetworkSpec.cancel` to whoever is cancelled."""

from __future__ import annotations

import asyncio
from typing import Literal

Reason = Literal["client", "deadline"]

DEADLINE: Reason = "deadline"
"""To be given to `NetworkSpec.cancel` where the deadline has passed; else the client has gone."""


def reason_of(cancelled: asyncio.CancelledError) -> Reason:
    """What was given to `NetworkSpec.cancel`."""
    return DEADLINE if DEADLINE in cancelled.args else "client"
