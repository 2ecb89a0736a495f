"""Progress of compilation, for /health."""

from __future__ import annotations


class Progress:
    """How many of the programs to compile are done. Written by one thread, read by any."""

    def __init__(self) -> None:
        self._done = self._total = 0
        self._name = ""

    def begin(self, total: int) -> None:
        """Start a compilation of `total` programs."""
        self._done, self._total = 0, total

    def compiling(self, name: str) -> None:
        """The next program, `name`, is being compiled."""
        self._done += 1
        self._name = name

    def end(self) -> None:
        """Compilation has ended, whether it succeeded or not."""
        self._total = 0

    def __str__(self) -> str:
        """As text: `compiling det_10g.onnx 1×3×640×640, 2 of 8`; empty while nothing is
        compiled."""
        if not self._total:
            return ""
        return f"compiling {self._name}, {self._done} of {self._total}"
