"""The decode gate: limits how many decoded images, and bytes of them, are in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

from face_service.observability.metrics import Metrics
from face_service.observability.timing import StageTimes

from .budget import Budget
from .cancelling import count_cancellation

CONTINUED_SHARE = 4
"""Divisor: a quarter of the bytes is for requests that continue (DecodeGate)."""


class Share(NamedTuple):
    """What either new requests or those that continue may hold."""

    slots: Budget
    bytes: Budget


class Reservation:
    """Slots and bytes that are held, until the block that reserved them has ended and every
    future given to `keep_until` is done: a thread may use the pixels of a request that was
    cancelled. Belongs to one event loop."""

    def __init__(self, share: Share, continued: Share, taken: int, size: int) -> None:
        self._share = share
        self._continued = continued
        self._taken = taken
        self._size = size
        self._futures: list[Future[Any]] = []

    def keep_until(self, future: Future[Any]) -> None:
        """Hold on until `future` is done or cancelled."""
        self._futures.append(future)

    @property
    def in_use(self) -> bool:
        """Whether something still works on the pixels: a future of `keep_until` is not done."""
        return not all(future.done() for future in self._futures)

    def shrink(self, size: int) -> None:
        """Hold `size` bytes from now on, if that is less: decoding takes more than its pixels."""
        if size < self._size:
            freed, self._size = self._size - size, size
            self._share.bytes.release(freed)

    def suspend(self) -> bool:
        """Let others decode: give the slots back, and move the bytes to the share of requests that
        continue. Returns False where they do not fit there: the caller has to drop the pixels."""
        self._share.slots.release(self._taken)
        self._taken = 0
        if self._share is not self._continued and self._size:
            if not self._continued.bytes.try_acquire(self._size):
                return False
            self._share.bytes.release(self._size)
            self._share = self._continued
        return True

    def release(self) -> None:
        """Give everything back."""
        self._share.slots.release(self._taken)
        self._share.bytes.release(self._size)
        self._taken = self._size = 0

    async def release_when_done(self) -> None:
        """Give everything back once nothing works on the pixels any more."""
        await asyncio.gather(*map(asyncio.wrap_future, self._futures), return_exceptions=True)
        self.release()


class DecodeGate:
    """Lets requests decode shortly before their batch, within `size` bytes.

    Decoding earlier saves no time: it takes unused pages from the system, and the pixels have left
    the cache when their batch starts (docs/decisions/0012-workers.md).

    New requests share slots, one an image. What continues a request (its later parts, and what is
    suspended) has slots of its own, one for each part, and a quarter of the bytes: a new request
    waits for other new ones alone, not for one that takes long.
    """

    def __init__(self, size: int, metrics: Metrics) -> None:
        self.size = size
        self._continued = Share(Budget(0), Budget(size // CONTINUED_SHARE))
        self._new = Share(Budget(0), Budget(size - self._continued.bytes.size))
        self._metrics = metrics
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def held(self) -> int:
        """Bytes that are held. More than `size` only where a single reservation exceeds its share,
        that of new requests or that of those that continue."""
        return self._new.bytes.held + self._continued.bytes.held

    @property
    def waiting(self) -> int:
        """New requests that wait, and parts of others that wait for memory."""
        return self._new.slots.waiting + self._new.bytes.waiting + self._continued.bytes.waiting

    def set_concurrency(self, images: int, parts: int) -> None:
        """Have at most so many images of new requests decoded, or about to be, and so many parts
        of requests that are continued."""
        self._new.slots.size, self._continued.slots.size = images, parts

    def reserve(
        self, images: int, size: int, times: StageTimes
    ) -> AbstractAsyncContextManager[Reservation]:
        """Hold slots and `size` bytes for a new request, for the length of the block or longer
        (see Reservation). First come, first served; a wait is added to `times` as `queue`."""
        return self._reserve(self._new, min(images, self._new.slots.size), size, times)

    def reserve_next(
        self, size: int, times: StageTimes
    ) -> AbstractAsyncContextManager[Reservation]:
        """The same for a later part of a request, or one that takes long and is decoded anew."""
        return self._reserve(self._continued, 1, size, times)

    @asynccontextmanager
    async def _reserve(
        self, share: Share, taken: int, size: int, times: StageTimes
    ) -> AsyncIterator[Reservation]:
        started, waited = time.perf_counter(), True
        try:
            with count_cancellation(self._metrics, "waiting"):
                waited = await share.slots.acquire(taken)
                try:
                    waited |= await share.bytes.acquire(size)
                except BaseException:
                    share.slots.release(taken)
                    waited = True
                    raise
        finally:
            if waited:
                times.add("queue", started, time.perf_counter())
        reservation = Reservation(share, self._continued, taken, size)
        try:
            yield reservation
        finally:
            if reservation.in_use:
                leaving = asyncio.create_task(reservation.release_when_done())
                self._leaving.add(leaving)
                leaving.add_done_callback(self._leaving.discard)
            else:
                reservation.release()
