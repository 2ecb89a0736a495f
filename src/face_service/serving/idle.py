"""How long nobody has asked for anything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class IdleClock:
    """Counts the seconds since the last call has ended. Belongs to one event loop."""

    def __init__(self) -> None:
        self._calls = 0
        self._last = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the last call has ended, or since the beginning; 0 during a call."""
        return 0.0 if self._calls else time.monotonic() - self._last

    @contextmanager
    def busy(self) -> Iterator[None]:
        """A call, for the length of the block."""
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            self._last = time.monotonic()
