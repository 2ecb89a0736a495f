"""Admission: bounds on the requests inside, and on the bytes of bodies and answers in memory."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from face_service.errors import Overloaded

LONGEST_RETRY_S = 60
"""Most seconds that `retry_after` returns."""
SMOOTHING = 0.2
"""Weight of the newest request in the moving average of how long one keeps an engine busy."""
SLOW_BYTES_PER_S = 32_000
"""A transfer below this average rate is slow: 256 kbit/s, a poor mobile connection."""
SLOW_AFTER_S = 2.0
"""Seconds before a slow transfer may be evicted: a connection needs time to reach its rate. Uploads
may be evicted earlier where they are a crowd (CROWD)."""
CROWD = 0.25
"""Share of `limit`, or of `max_bytes`, above which several slow uploads are a crowd: each of them
may be evicted, however young; the slowest first, and of those that have sent nothing the oldest.
Otherwise clients that send nothing, and reconnect within SLOW_AFTER_S, could hold every place. One
slow upload alone is no crowd: its first packet may be on its way. A young answer is never evicted,
as it has cost its computation."""
WINDOW_S = 10.0
"""Seconds after which the rate of a transfer that is not slow is measured anew: a client that was
fast, and then stops, becomes slow."""


class Transfer:
    """Bytes in memory that a client sends or has yet to take in.

    `size`: bytes held. `received`: bytes that the other side has received. `under_way`: more of it
    is to come. `evicted`: another one needed the memory; `on_evicted` is called when that happens.
    `since`: when its rate began to be measured, on time.monotonic().
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
        """Seconds for each byte since its rate began to be measured; 0 if it is complete, or not
        slower than SLOW_BYTES_PER_S. `now`: on time.monotonic()."""
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
        """Record that all of the body is there, and free what was reserved beyond it."""
        self.under_way = False
        if not self.evicted:
            self._admission.bytes_held -= self.size - self.received
            self.size = self.received


class Admission:
    """At most `limit` requests are inside at once: being read, waiting, or computed; their bodies,
    and the answers that clients have yet to take in, are at most `max_bytes`.

    One more request raises Overloaded, unless slow transfers hold what it needs: then as many of
    them as necessary are evicted, the slowest first. Slow clients are served for as long as nobody
    else needs what they hold. Answers are never turned away: what they hold beyond `max_bytes`
    keeps new requests out. Belongs to one event loop.
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

        Raises Overloaded where there is no room. Where the place is evicted during the block, its
        `on_evicted` is called: the request has to end.
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
        """Record that the client has yet to take in `size` bytes of an answer; 0: it has them all.

        Where it does not fit into `max_bytes`, slow transfers are evicted, as far as there are any.
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
    """The first transfers that hold at least `size` bytes together, and whether all hold less."""
    taken: list[Transfer] = []
    for transfer in transfers:
        if size <= 0:
            break
        taken.append(transfer)
        size -= transfer.size
    return taken, size > 0
