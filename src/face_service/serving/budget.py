"""Budget: a bound on how much of something is held at once."""

from __future__ import annotations

import asyncio
from collections import deque


class Budget:
    """At most `size` of something is held at once. Belongs to one event loop.

    Strictly first in, first out: a large amount at the head blocks smaller ones behind it, or it
    might never be granted. An amount larger than `size` is granted when nothing is held, and then
    alone. `size` may change at any time; those who wait see it at the next `release`.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        """How many calls of `acquire` wait."""
        return sum(not waiter.cancelled() for _, waiter in self._waiting)

    async def acquire(self, amount: int) -> bool:
        """Hold `amount` until it is released. Returns whether it had to wait."""
        if self.try_acquire(amount):
            return False
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, waiter))
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._admit()
            else:  # granted just before the cancellation
                self.release(amount)
            raise
        return True

    def try_acquire(self, amount: int) -> bool:
        """Hold `amount` if that needs no waiting. Returns whether it does."""
        free = not self._waiting and self._fits(amount)
        if free:
            self.held += amount
        return free

    def release(self, amount: int) -> None:
        """Give `amount` back."""
        self.held -= amount
        self._admit()

    def _fits(self, amount: int) -> bool:
        return not self.held or self.held + amount <= self.size

    def _admit(self) -> None:
        while self._waiting:
            amount, waiter = self._waiting[0]
            if not waiter.cancelled():
                if not self._fits(amount):
                    return
                self.held += amount
                waiter.set_result(None)
            self._waiting.popleft()
