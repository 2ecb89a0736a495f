"""How far a start has come, for /health."""

from __future__ import annotations


class Progress:
    """Programs compiled of those that must be. Any thread may read it."""

    def __init__(self) -> None:
        self._done = self._total = 0
        self._name = ""

    def begin(self, total: int) -> None:
        """`total` programs are to be compiled."""
        self._done, self._total = 0, total

    def compiling(self, name: str) -> None:
        """The next one is `name`."""
        self._done += 1
        self._name = name

    def end(self) -> None:
        """All of them are there."""
        self._total = 0

    def __str__(self) -> str:
        """For a person; empty while nothing is compiled."""
        if not self._total:
            return ""
        return f"compiling {self._name}, {self._done} of {self._total}"
