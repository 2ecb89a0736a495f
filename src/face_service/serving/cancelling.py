"""Why work is cancelled: the message given to `Task.cancel` arrives in the CancelledError."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from face_service.observability.metrics import Metrics

Reason = Literal["client", "deadline"]

DEADLINE: Reason = "deadline"
"""The message for `Task.cancel` where the deadline has passed; without it, the client has
disconnected."""


def reason_of(cancelled: asyncio.CancelledError) -> Reason:
    """The reason, from the message given to `Task.cancel`."""
    return DEADLINE if DEADLINE in cancelled.args else "client"


@contextmanager
def count_cancellation(metrics: Metrics, where: Literal["waiting", "decoding"]) -> Iterator[None]:
    """Count a cancellation of the block in `face_service_cancelled_total`, and pass it on."""
    try:
        yield
    except asyncio.CancelledError as cancelled:
        metrics.cancelled.labels(where, reason_of(cancelled)).inc()
        raise
