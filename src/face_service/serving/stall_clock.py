"""How long a thread has made no progress, apart from the time it was not let run."""

from __future__ import annotations

import time

from face_service.runtime.threads import thread_usage

LONGEST_LOOK_S = 1.0
"""Most seconds that are counted between two calls of `look`: a longer gap means that the process
itself was stopped."""


class StallClock:
    """Seconds without progress, summed from one call of `look` to the next.

    Not counted is time in which the process was stopped (SIGSTOP, a frozen cgroup, a migration),
    and on Linux time in which the thread waits for a processor: while it could run, only the CPU
    time it gets counts, so that a busy machine is no stall. A thread that waits for anything else
    has hung.
    """

    def __init__(self) -> None:
        self._looked = time.monotonic()
        self._cpu_seconds = 0.0
        self._seen: object = None
        self._seconds = 0.0

    def look(self, progress: object, thread: int | None = None) -> float:
        """Seconds since `progress` last changed; 0 where it is None: nothing to do. `thread`: the
        native id of the one that should make it; None if it is not known."""
        now, usage = time.monotonic(), thread_usage(thread) if thread else None
        elapsed, self._looked = min(now - self._looked, LONGEST_LOOK_S), now
        if usage:
            used, self._cpu_seconds = usage.cpu_seconds - self._cpu_seconds, usage.cpu_seconds
            if usage.runnable:
                elapsed = min(elapsed, used)
        if progress is None or progress != self._seen:
            self._seen, self._seconds = progress, 0.0
        else:
            self._seconds += elapsed
        return self._seconds
