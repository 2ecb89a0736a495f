"""The decode gate: limits how many decoded images, and bytes of them, are in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from face_service.observability.metrics import Metrics
from face_service.observability.timing import StageTimes

from .budget import Budget
from .cancelling import count_cancellation


class Reservation:
    """Slots and bytes that are held, until the block that reserved them has ended and every
    future given to `keep_until` is done: a thread may use the pixels of a request that was
    cancelled. Belongs to one event loop."""

    def __init__(self, slots: Budget, taken: int, memory: Budget, size: int) -> None:
        self._slots = slots
        self._taken = taken
        self._memory = memory
        self._size = size
        self._futures: list[Future[Any]] = []

    def keep_until(self, future: Future[Any]) -> None:
        """Hold on until `future` is done or cancelled."""
        self._futures.append(future)

    @property
    def in_use(self) -> bool:
        """Whether something works on the pixels."""
        return not all(future.done() for future in self._futures)

    def shrink(self, size: int) -> None:
        """Hold `size` bytes from now on, if that is less: decoding takes more than its pixels."""
        if size < self._size:
            freed, self._size = self._size - size, size
            self._memory.release(freed)

    def release_slots(self) -> None:
        """Let others decode; the bytes stay counted. Calls after the first do nothing."""
        self._slots.release(self._taken)
        self._taken = 0

    def release(self) -> None:
        """Give everything back."""
        self.release_slots()
        self._memory.release(self._size)

    async def release_when_done(self) -> None:
        """Give everything back once nothing works on the pixels any more."""
        await asyncio.gather(*map(asyncio.wrap_future, self._futures), return_exceptions=True)
        self.release()


class DecodeGate:
    """Lets requests decode shortly before their batch, as far as memory goes.

    Decoding earlier saves no time: it takes unused pages from the system, and the pixels have left
    the cache when their batch starts (docs/decisions/0012-workers.md).

    New requests share slots, one an image. What continues a request has slots of its own, one
    for each part: it is never in the way of a new request.
    """

    def __init__(self, size: int, metrics: Metrics) -> None:
        self._bytes = Budget(size)
        self._new = Budget(0)
        self._continued = Budget(0)
        self._metrics = metrics
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def size(self) -> int:
        """Bytes that may be held."""
        return self._bytes.size

    @property
    def held(self) -> int:
        """Bytes that are held. More than `size` only by a single reservation of more."""
        return self._bytes.held

    @property
    def waiting(self) -> int:
        """New requests that wait, and a part of another that waits for memory."""
        return self._new.waiting + self._bytes.waiting

    def set_concurrency(self, images: int, parts: int) -> None:
        """Have at most so many images of new requests decoded, or about to be, and so many parts
        of requests that are continued."""
        self._new.size, self._continued.size = images, parts

    def reserve(
        self, images: int, size: int, times: StageTimes
    ) -> AbstractAsyncContextManager[Reservation]:
        """Hold slots and `size` bytes for a new request, for the length of the block or longer
        (see Reservation). First come, first served; the wait is added to `times`."""
        return self._reserve(self._new, min(images, self._new.size), size, times)

    def reserve_next(
        self, size: int, times: StageTimes
    ) -> AbstractAsyncContextManager[Reservation]:
        """The same for the next part of a request that has begun."""
        return self._reserve(self._continued, 1, size, times)

    @asynccontextmanager
    async def _reserve(
        self, slots: Budget, taken: int, size: int, times: StageTimes
    ) -> AsyncIterator[Reservation]:
        started, waited = time.perf_counter(), True
        try:
            with count_cancellation(self._metrics, "waiting"):
                waited = await slots.acquire(taken)
                try:
                    waited |= await self._bytes.acquire(size)
                except BaseException:
                    slots.release(taken)
                    waited = True
                    raise
        finally:
            if waited:
                times.add("queue", started, time.perf_counter())
        reservation = Reservation(slots, taken, self._bytes, size)
        try:
            yield reservation
        finally:
            if reservation.in_use:
                leaving = asyncio.create_task(reservation.release_when_done())
                self._leaving.add(leaving)
                leaving.add_done_callback(self._leaving.discard)
            else:
                reservation.release()
