"""Room: who may have pixels in memory, and when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from face_service.metrics import Metrics
from face_service.stages import StageTimes

from .budget import Budget


class Room:
    """Lets requests decode shortly before their turn, as far as their pixels fit into memory.

    What is decoded while thirty others wait for an engine is faster neither for itself nor for
    them: it takes pages from the system that were never used, and lies cold when its turn comes.
    """

    def __init__(self, size: int, metrics: Metrics) -> None:
        self._bytes = Budget(size)
        self._turns = Budget(0)
        self._metrics = metrics
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def size(self) -> int:
        """Bytes of pixels that have room at most."""
        return self._bytes.size

    @property
    def held(self) -> int:
        """Bytes of pixels that are in memory."""
        return self._bytes.held

    @property
    def waiting(self) -> int:
        """Requests that wait for room."""
        return self._turns.waiting + self._bytes.waiting

    def let_in(self, requests: int) -> None:
        """Have at most so many requests decoded at once, or about to be."""
        self._turns.size = requests

    @asynccontextmanager
    async def take(self, size: int, times: StageTimes) -> AsyncIterator[list[Future[Any]]]:
        """Have room for `size` bytes of a request for the length of the block; `times` learns how
        long it was waited for. First come, first served.

        Gives a list for the futures of what works on the pixels. Where one of them is not done at
        the end of the block, for the request was cancelled, its room is kept until it is.
        """
        started, waited = time.perf_counter(), False
        users: list[Future[Any]] = []
        async with AsyncExitStack() as held:
            try:
                for budget, amount in ((self._turns, 1), (self._bytes, size)):
                    waited |= await held.enter_async_context(budget.hold(amount))
            except asyncio.CancelledError:
                waited = True
                self._metrics.cancelled.labels("waiting").inc()
                raise
            finally:
                if waited:
                    times.add("queue", started, time.perf_counter())
            try:
                yield users
            finally:
                if not all(user.done() for user in users):
                    leaving = asyncio.create_task(leave(held.pop_all(), users))
                    self._leaving.add(leaving)
                    leaving.add_done_callback(self._leaving.discard)


async def leave(held: AsyncExitStack, users: Sequence[Future[Any]]) -> None:
    """Give back what is held once nobody uses it any more."""
    async with held:
        await asyncio.gather(*map(asyncio.wrap_future, users), return_exceptions=True)
