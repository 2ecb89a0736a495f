"""Descriptor 2, which native libraries write to, kept from holding up who writes."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

STDERR = 2
MAX_LINE = 2000
"""Bytes of a line that are logged."""
LAST_LINES_S = 1.0
"""For lines that are in the pipe when it is taken away."""


@contextmanager
def captured_stderr() -> Iterator[int]:
    """For the length of the block, log what is written to descriptor 2, a line each, and let
    nobody wait who writes there: while the pipe in its place is full, lines are lost.

    libpng and libjpeg write from the threads that decode, and whoever should read stderr may have
    stopped. Gives a descriptor of the real stderr, which stays open after the block. Tracebacks of
    a crash go there at once (`faulthandler`); a library's last words before an abort may be lost.
    On Windows nothing is captured.
    """
    if sys.platform == "win32":
        yield STDERR
        return
    real = real_stderr()
    faulthandler.enable(unblocked(real))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.dup2(writing, STDERR)
    os.close(writing)
    thread = threading.Thread(target=log_lines, args=(reading,), name="stderr", daemon=True)
    thread.start()
    try:
        yield real
    finally:
        os.dup2(real, STDERR)  # the pipe has no writer any more, and its reader ends
        thread.join(LAST_LINES_S)


def real_stderr() -> int:
    """Another descriptor of stderr; of the null device where stderr is closed."""
    import fcntl

    # Where a standard descriptor is closed, the pipe would get its number.
    while (null := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(null)
    return fcntl.fcntl(STDERR, fcntl.F_DUPFD_CLOEXEC, STDERR + 1)


def unblocked(file: int) -> int:
    """A descriptor of the same pipe, file or terminal that never blocks: a crash must end the
    process. `file` itself where it cannot be opened anew, as a socket."""
    try:
        return os.open(f"/dev/fd/{file}", os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return file


def log_lines(file: int) -> None:
    """Log every line that comes out of `file`, until nobody can write to it any more."""
    rest = b""
    while piece := os.read(file, 65_536):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            log_line(line)
        rest = rest[:MAX_LINE]
    log_line(rest)
    os.close(file)


def log_line(line: bytes) -> None:
    """Log a line, of many within a second the first few."""
    text = line[:MAX_LINE].decode(errors="backslashreplace").strip()
    if text:
        # Callers cause some of it, with broken pictures.
        logger.info("A library wrote to stderr", extra={"fields": {"text": text}, "kind": {}})
