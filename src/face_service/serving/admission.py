"""Admission: a bound on the requests that are inside, decided before a body is read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager

from face_service.errors import Overloaded

LONGEST_RETRY_S = 60
SMOOTHING = 0.2
"""Weight of the newest request in the moving average of how long one keeps an engine busy."""


class Admission:
    """At most `limit` requests are inside at once: being read, waiting, or computed.

    One more is turned away at once, with the time after which the queue will have moved on.
    Belongs to one event loop.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.inside = 0
        self._seconds_each = 0.0
        self._empty = asyncio.Event()
        self._empty.set()

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Be inside for the length of the block. Raises Overloaded where there is no room."""
        if self.inside >= self.limit:
            raise Overloaded(
                f"The service is at its limit of {self.limit} requests, try again later",
                self.retry_after(),
            )
        self.inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self.inside -= 1
            if not self.inside:
                self._empty.set()

    def record_service_time(self, seconds: float) -> None:
        """Learn how long a request kept an engine busy."""
        if self._seconds_each:
            seconds = SMOOTHING * seconds + (1 - SMOOTHING) * self._seconds_each
        self._seconds_each = seconds

    def retry_after(self) -> int:
        """Whole seconds until half of those inside will have been answered, 1 to 60."""
        return max(1, min(LONGEST_RETRY_S, math.ceil(self.inside * self._seconds_each / 2)))

    async def wait_idle(self) -> None:
        """Wait until nobody is inside."""
        await self._empty.wait()
