"""Admission: bounds on the requests inside, and on the bytes of bodies and answers in memory."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from face_service.errors import Overloaded

LONGEST_RETRY_S = 60
SMOOTHING = 0.2
"""Weight of the newest request in the moving average of how long one keeps an engine busy."""
SLOW_BYTES_PER_S = 32_000
"""A transfer below this average rate is slow: 256 kbit/s, a poor mobile connection."""
SLOW_AFTER_S = 2.0
"""Younger transfers are not judged, as a connection needs its time to get going, unless they are
uploads and a crowd."""
CROWD = 0.25
"""Share of the places, or of the bytes, that slow uploads, two at least, may hold before the young
among them give way too: the slowest first, of those that have sent nothing the oldest. Otherwise
clients that send nothing, and connect anew before SLOW_AFTER_S is over, could hold everything.
Without SLOW_AFTER_S, an upload whose first packet is on its way would give way to the next while
all the others are computed. An answer has cost its computation: a young one is never cut off."""
WINDOW_S = 10.0
"""A rate that suffices is measured anew after that: who has been fast may not stop."""


class Transfer:
    """Bytes in memory that a client sends or has yet to take in.

    `size`: bytes held. `received`: bytes that the other side has received. `under_way`: more of it
    is to come. `evicted`: another one needed the memory; `on_evicted` is called when that happens.
    """

    def __init__(self, size: int = 0, on_evicted: Callable[[], object] = lambda: None) -> None:
        self.size = size
        self.on_evicted = on_evicted
        self.received = 0
        self.under_way = True
        self.evicted = False
        self.since = time.monotonic()
        self._received_before = 0

    def progress(self) -> int:
        """Bytes received so far."""
        return self.received

    def seconds_a_byte(self, now: float) -> float:
        """How slow it is; 0 if it is as fast as SLOW_BYTES_PER_S, or through."""
        seconds = now - self.since
        received = self.progress() - self._received_before
        if not self.under_way or received >= seconds * SLOW_BYTES_PER_S:
            slowness = 0.0
        else:
            slowness = seconds / (received + 1)
        if seconds > WINDOW_S and not slowness:
            self.since, self._received_before = now, self.progress()
        return slowness


class Place(Transfer):
    """What an admitted request holds: one place of MAX_QUEUE and the bytes of its body."""

    def __init__(self, admission: Admission, size: int) -> None:
        super().__init__(size)
        self.under_way = size > 0
        self._admission = admission

    def body_read(self) -> None:
        """All of the body is there: what was reserved beyond it is free again."""
        self.under_way = False
        if not self.evicted:
            self._admission.bytes_held -= self.size - self.received
            self.size = self.received


class Admission:
    """At most `limit` requests are inside at once: being read, waiting, or computed; their bodies,
    and the answers that clients have yet to take in, are at most `max_bytes`.

    One more request is turned away at once, with the time after which the queue will have moved
    on, unless a transfer is slow: that one gives way, the slowest first. Slow clients are served
    for as long as nobody else needs what they hold. Answers are never turned away: what they hold
    beyond `max_bytes` keeps new requests out. Belongs to one event loop.
    """

    def __init__(self, limit: int, max_bytes: float = math.inf) -> None:
        self.limit = limit
        self.max_bytes = max_bytes
        self.bytes_held = 0
        self._places: set[Transfer] = set()
        self._answers: set[Transfer] = set()
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
        self.bytes_held += size
        self._empty.clear()
        try:
            yield place
        finally:
            self._leave(place)

    def hold_answer(self, answer: Transfer, size: int) -> None:
        """An answer of which the client has yet to take in `size` bytes; 0: it is through.

        Slow transfers give way to it as far as it does not fit.
        """
        if answer.evicted:
            return
        self.bytes_held += size - answer.size
        grown, answer.size = size > answer.size, size
        if not size:
            self._answers.discard(answer)
            return
        self._answers.add(answer)
        if grown and self.bytes_held > self.max_bytes:
            slow = [transfer for transfer in self._slow() if transfer is not answer]
            self._evict(enough(slow, self.bytes_held - self.max_bytes)[0])

    def _make_room(self, size: int) -> None:
        """Evict as many slow transfers as are in the way, and none if that does not suffice.
        Raises Overloaded."""
        excess = self.bytes_held + size - self.max_bytes
        full = self.inside >= self.limit
        if not full and excess <= 0:
            return
        slow = self._slow()
        evicted: list[Transfer] = []
        if full:
            evicted += [transfer for transfer in slow if transfer in self._places][:1]
            if not evicted:
                raise Overloaded(
                    f"The service is at its limit of {self.limit} requests, try again later",
                    self.retry_after(),
                )
            slow.remove(evicted[0])
        more, missing = enough(slow, excess - sum(transfer.size for transfer in evicted))
        if missing:
            raise Overloaded(
                "The service is at its limit of bodies and answers in memory, try again later",
                self.retry_after(),
            )
        self._evict(evicted + more)

    def _slow(self) -> list[Transfer]:
        """The slow transfers that may be evicted, slowest first."""
        now = time.monotonic()
        rated = [(one.seconds_a_byte(now), one) for one in (*self._places, *self._answers)]
        slow = sorted((item for item in rated if item[0]), key=lambda item: -item[0])
        uploads = [one for _, one in slow if one in self._places]
        crowded = len(uploads) > 1 and (
            len(uploads) > CROWD * self.limit
            or sum(one.size for one in uploads) > CROWD * self.max_bytes
        )
        return [
            one
            for _, one in slow
            if now - one.since > SLOW_AFTER_S or (crowded and one in self._places)
        ]

    def _evict(self, transfers: list[Transfer]) -> None:
        for transfer in transfers:
            transfer.evicted = True
            self._leave(transfer)
            transfer.on_evicted()

    def _leave(self, transfer: Transfer) -> None:
        if transfer in self._places or transfer in self._answers:
            self._places.discard(transfer)
            self._answers.discard(transfer)
            self.bytes_held -= transfer.size
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


def enough(transfers: list[Transfer], size: float) -> tuple[list[Transfer], bool]:
    """The first of the transfers that hold `size` bytes together, and whether all are too few."""
    taken: list[Transfer] = []
    for transfer in transfers:
        if size <= 0:
            break
        taken.append(transfer)
        size -= transfer.size
    return taken, size > 0
