"""A program on a terminal: what a person would see, and what he types."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

CONTROL = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b[=>]|[\x07\x0f\r]")

SIZE = (50, 200)
"""Lines and columns."""


class Terminal:
    """A process in a session of its own, with a terminal of its own."""

    def __init__(
        self, command: Sequence[str | Path], environment: Mapping[str, str], folder: Path
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
        self.seen = b""
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *map(str, command)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={"TERM": "xterm", **environment},
            cwd=folder,
        )
        os.close(slave)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def wait_for(self, text: str, timeout: float = 30, shown_as_is: bool = False) -> None:
        """Wait until `text` has been shown; colours and movements of the cursor count only if it
        is to be `shown_as_is`."""
        deadline = time.monotonic() + timeout
        while text.encode() not in (self.seen if shown_as_is else CONTROL.sub(b"", self.seen)):
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} was not shown:\n{self.seen.decode(errors='replace')}"
            if not self._read(left):
                raise AssertionError(f"it ended without {text!r}:\n{self.seen.decode()}")

    def wait_until_ended(self, timeout: float = 30) -> int:
        """The exit status, with everything shown in `seen`."""
        while self._read(timeout):
            pass
        return self.process.wait(timeout)

    def close(self) -> None:
        """End what still runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._master)

    def _read(self, timeout: float) -> bool:
        """Read what is there or comes within `timeout` seconds. False at the end."""
        if not select.select([self._master], [], [], timeout)[0]:
            raise AssertionError(f"nothing was shown for {timeout} s:\n{self.seen!r}")
        try:
            data = os.read(self._master, 65536)
        except OSError:  # what Linux says once nobody has the terminal open
            return False
        self.seen += data
        return bool(data)
