"""A logging.Handler that writes on its own thread and limits the rate of repeated lines."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Hashable

MAX_QUEUED = 10_000
"""Most lines in the queue, a few megabytes; further ones are dropped and counted."""
MAX_PER_SECOND = 10
"""Most lines of one kind a second; further ones are counted."""
MAX_KINDS = 1000
"""Most kinds that are counted at once, where a few are usual; lines of further kinds are not
limited. The thread that writes also resets the counters: without this bound they would grow while
the reader of the file has stopped."""
FLUSH_TIMEOUT_S = 2.0
"""Seconds that `close` waits for the lines in the queue to be written."""


class RateLimitedLogHandler(logging.Handler):
    """Writes records in order to the file descriptor `file`, from a queue: `emit` never blocks.

    If the reader of `file` is slow or has stopped, lines above MAX_QUEUED are dropped, and one line
    says how many. Records with a `kind` (`extra={"kind": {…}}`), and those of other packages, are
    limited to MAX_PER_SECOND for each logger, message (before its arguments are filled in) and
    values of `kind`; a summary line with the fields of `kind` counts the rest. The handler's thread
    starts with it and ends with `close`.
    """

    def __init__(self, file: int) -> None:
        super().__init__()
        self._file = file
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._counting = threading.Lock()
        self._seen: dict[Hashable, int] = {}
        self._left_out: dict[Hashable, logging.LogRecord] = {}
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record as text, or count it where its kind or the queue is at its limit."""
        if self._is_one_too_many(record):
            return
        if self._lines.qsize() >= MAX_QUEUED:
            self._dropped += 1
            return
        try:
            self._lines.put(self.format(record))
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Write what is queued and the last summaries; lines that are not written within
        FLUSH_TIMEOUT_S are lost."""
        self._lines.put(None)
        self._thread.join(FLUSH_TIMEOUT_S)
        super().close()

    def _is_one_too_many(self, record: logging.LogRecord) -> bool:
        kind = getattr(record, "kind", None)
        if kind is None and record.name.startswith("face_service"):
            return False
        key = (record.name, str(record.msg), *(kind or {}).values())
        with self._counting:
            if key not in self._seen and len(self._seen) >= MAX_KINDS:
                return False
            seen = self._seen[key] = self._seen.get(key, 0) + 1
            if seen > MAX_PER_SECOND:
                self._left_out.setdefault(key, record)
        return seen > MAX_PER_SECOND

    def _run(self) -> None:
        turned = time.monotonic()
        while True:
            try:
                line = self._lines.get(timeout=1)
            except queue.Empty:
                pass
            else:
                if line is None:
                    self._flush_counters()
                    return
                self._write(line)
            if time.monotonic() - turned >= 1:
                self._flush_counters()
                turned = time.monotonic()

    def _flush_counters(self) -> None:
        """Write summaries of the lines that were left out or dropped, and reset the counters."""
        with self._counting:
            seen, self._seen = self._seen, {}
            left_out, self._left_out = self._left_out, {}
            dropped, self._dropped = self._dropped, 0
        for key, record in left_out.items():
            more = seen[key] - MAX_PER_SECOND
            self._emit_summary(record.levelno, record.name, f"{more} more: {record.msg}", record)
        if dropped:
            text = f"{dropped} lines of the log are lost: stderr was not read"
            self._emit_summary(logging.WARNING, __name__, text)

    def _emit_summary(
        self, level: int, name: str, text: str, like: logging.LogRecord | None = None
    ) -> None:
        record = logging.LogRecord(name, level, __file__, 0, text, (), None)
        record.fields = getattr(like, "kind", None) or {}
        self._write(self.format(record))

    def _write(self, line: str) -> None:
        # Not through sys.stderr: a write that never returns would hold its lock, which the
        # interpreter takes at exit. UTF-8 whatever the locale, and no line is lost to a character.
        left = memoryview(f"{line}\n".encode(errors="backslashreplace"))
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:  # closed
            self._dropped += 1
