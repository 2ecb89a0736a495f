"""Budget: a bound on how much of something is held at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Budget:
    """So many of anything, shared first come, first served. Belongs to one event loop.

    Nobody overtakes: who wants much waits until there is room for it, and those who want little
    and came later wait behind, or it would wait for ever.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their share."""
        return sum(not turn.cancelled() for _, turn in self._waiting)

    @asynccontextmanager
    async def hold(self, amount: int) -> AsyncIterator[bool]:
        """Hold `amount`, at most `size`, for the length of the block. Gives whether it waited."""
        if amount > self.size:
            raise ValueError(f"{amount} will never fit into a budget of {self.size}")
        waited = await self._acquire(amount)
        try:
            yield waited
        finally:
            self._release(amount)

    async def _acquire(self, amount: int) -> bool:
        if not self._waiting and self.held + amount <= self.size:
            self.held += amount
            return False
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given, and nobody is there to take it
                self._release(amount)
            self._admit()
            raise
        return True

    def _release(self, amount: int) -> None:
        self.held -= amount
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            amount, turn = self._waiting[0]
            if not turn.cancelled():
                if self.held + amount > self.size:
                    return
                self.held += amount
                turn.set_result(None)
            self._waiting.popleft()
