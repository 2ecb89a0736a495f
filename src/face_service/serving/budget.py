"""Budget: a bound on the bytes of decoded pixels that are in memory at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Budget:
    """So many bytes, shared first come, first served. Belongs to one event loop.

    Nobody overtakes: a large image waits until there is room for it, and small ones that
    came later wait behind it, or it would wait for ever.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, amount: int) -> AsyncIterator[None]:
        """Hold `amount` bytes, at most `size`, for the length of the block."""
        if amount > self.size:
            raise ValueError(f"{amount} bytes will never fit into a budget of {self.size}")
        await self._acquire(amount)
        try:
            yield
        finally:
            self._release(amount)

    async def _acquire(self, amount: int) -> None:
        if not self._waiting and self.held + amount <= self.size:
            self.held += amount
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given, and nobody is there to take it
                self._release(amount)
            self._admit()
            raise

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
