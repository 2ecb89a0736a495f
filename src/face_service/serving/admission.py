"""Admission: bounds on the requests inside and on their bodies, decided before a body is read."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from face_service.errors import Overloaded

LONGEST_RETRY_S = 60
SMOOTHING = 0.2
"""Weight of the newest request in the moving average of how long one keeps an engine busy."""
SLOW_AFTER_S = 2.0
"""Uploads are not judged before that: a connection needs its time to get going."""
SLOW_BYTES_PER_S = 32_000
"""An upload below this average rate is slow: 256 kbit/s, a poor mobile connection."""


@dataclass(eq=False, slots=True)
class Place:
    """What an admitted request holds: one place of MAX_QUEUE and the bytes of its body.

    `size`: bytes reserved for the body. `received`: bytes of it that are there. `reading`: more
    of it is to come. `evicted`: the place was given to another request; `on_evicted` is called
    when that happens.
    """

    admission: Admission
    size: int
    on_evicted: Callable[[], object] = lambda: None
    received: int = 0
    reading: bool = True
    evicted: bool = False
    since: float = field(default_factory=time.monotonic)

    def body_read(self) -> None:
        """All of the body is there: what was reserved beyond it is free again."""
        self.reading = False
        if not self.evicted:
            self.admission.body_bytes -= self.size - self.received
            self.size = self.received

    def is_slow(self, now: float) -> bool:
        """Whether the body is still being read, and arrives slower than SLOW_BYTES_PER_S."""
        seconds = now - self.since
        return (
            self.reading and seconds > SLOW_AFTER_S and self.received < seconds * SLOW_BYTES_PER_S
        )


class Admission:
    """At most `limit` requests with `max_body_bytes` of bodies are inside at once: being read,
    waiting, or computed.

    One more is turned away at once, with the time after which the queue will have moved on,
    unless an upload is slow: that one loses its place. Slow clients are served for as long as
    nobody else needs what they hold. Belongs to one event loop.
    """

    def __init__(self, limit: int, max_body_bytes: float = math.inf) -> None:
        self.limit = limit
        self.max_body_bytes = max_body_bytes
        self.body_bytes = 0
        self._places: set[Place] = set()
        self._seconds_each = 0.0
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def inside(self) -> int:
        """Requests inside."""
        return len(self._places)

    @contextmanager
    def admit(self, size: int = 0) -> Iterator[Place]:
        """Be inside for the length of the block, with a body of at most `size` bytes.

        Raises Overloaded where there is no room.
        """
        self._make_room(size)
        place = Place(self, size)
        self._places.add(place)
        self.body_bytes += size
        self._empty.clear()
        try:
            yield place
        finally:
            self._leave(place)

    def _make_room(self, size: int) -> None:
        """Evict as many slow uploads as are in the way, slowest first, and none if that does not
        suffice. Raises Overloaded."""
        inside, held, evicted = self.inside, self.body_bytes, list[Place]()
        now = time.monotonic()
        slow = [place for place in self._places if place.is_slow(now)]
        slow.sort(key=lambda place: (now - place.since) / (place.received + 1))
        while inside >= self.limit or held + size > self.max_body_bytes:
            if not slow:
                raise Overloaded(
                    f"The service is at its limit of {self.limit} requests, try again later"
                    if inside >= self.limit
                    else "The service is at its limit of bodies in memory, try again later",
                    self.retry_after(),
                )
            evicted.append(slow.pop())
            inside, held = inside - 1, held - evicted[-1].size
        for place in evicted:
            place.evicted = True
            self._leave(place)
            place.on_evicted()

    def _leave(self, place: Place) -> None:
        if place in self._places:
            self._places.remove(place)
            self.body_bytes -= place.size
            if not self._places:
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
