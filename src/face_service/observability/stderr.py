"""File descriptor 2, which native libraries write to, as lines of the log."""

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
"""Most bytes of a line that are logged; the rest is dropped."""
LAST_LINES_S = 1.0
"""Seconds to wait, at the end of the block, until the lines in the pipe are logged."""


@contextmanager
def captured_stderr() -> Iterator[int]:
    """For the length of the block, replace descriptor 2 by a pipe, whose lines are logged.

    Writing to it never blocks: lines are lost while the pipe is full. libpng and libjpeg write from
    decode threads, which a stderr that nobody reads would block. Yields a descriptor of the real
    stderr, which stays open after the block. Tracebacks of a crash are written there directly
    (`faulthandler`); a library's message just before an abort may be lost. On Windows nothing is
    captured, and descriptor 2 is yielded.
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
        os.dup2(real, STDERR)  # closes the last writer of the pipe, and the thread ends
        thread.join(LAST_LINES_S)


def real_stderr() -> int:
    """A new descriptor of stderr, above 2 and not inherited by child processes; of the null device
    if stderr is closed."""
    import fcntl

    # Fill closed standard descriptors, whose numbers the pipe would get.
    while (null := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(null)
    return fcntl.fcntl(STDERR, fcntl.F_DUPFD_CLOEXEC, STDERR + 1)


def unblocked(file: int) -> int:
    """A non-blocking descriptor of the same pipe, file or terminal: the traceback of a crash must
    not block the process. `file` itself if it cannot be reopened, such as a socket."""
    try:
        return os.open(f"/dev/fd/{file}", os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return file


def log_lines(file: int) -> None:
    """Log every line of the pipe `file` until its last writer is closed; then close it."""
    rest = b""
    while piece := os.read(file, 65_536):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            log_line(line)
        rest = rest[:MAX_LINE]
    log_line(rest)
    os.close(file)


def log_line(line: bytes) -> None:
    """Log a line, at most MAX_LINE bytes of it; the rate is limited (RateLimitedLogHandler)."""
    text = line[:MAX_LINE].decode(errors="backslashreplace").strip()
    if text:
        # A kind, for the rate limit: broken images cause some of these lines.
        logger.info("A library wrote to stderr", extra={"fields": {"text": text}, "kind": {}})
