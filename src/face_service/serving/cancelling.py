"""Why work is cancelled: asyncio hands a word from `Task.cancel` to whoever is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from face_service.observability.metrics import Metrics

Reason = Literal["client", "deadline"]

DEADLINE: Reason = "deadline"
"""To be given to `Task.cancel` where the deadline has passed; else the client has gone."""


def reason_of(cancelled: asyncio.CancelledError) -> Reason:
    """What was given to `Task.cancel`."""
    return DEADLINE if DEADLINE in cancelled.args else "client"


@contextmanager
def count_cancellation(metrics: Metrics, where: Literal["waiting", "decoding"]) -> Iterator[None]:
    """Count it in `face_service_cancelled_total` where the block is cancelled."""
    try:
        yield
    except asyncio.CancelledError as cancelled:
        metrics.cancelled.labels(where, reason_of(cancelled)).inc()
        raise
