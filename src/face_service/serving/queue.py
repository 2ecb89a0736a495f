"""The line of requests that wait for a lane."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

from face_service.face_engine import Face, Job
from face_service.stages import StageTimes

Outcome = list[Face] | Exception
"""What became of a job: its faces, or why there are none."""


@dataclass(slots=True, eq=False)
class Work:
    """The jobs of one request. Whoever resolves it first has the word; the rest is dropped."""

    jobs: Sequence[Job]
    times: StageTimes
    future: Future[list[Outcome]] = field(default_factory=Future)
    submitted: float = field(default_factory=time.perf_counter)

    def resolve(self, outcomes: list[Outcome]) -> None:
        """Give the request its answer, unless it has one."""
        try:
            self.future.set_result(outcomes)
        except InvalidStateError:  # a lane that was given up on has come to life again
            return

    def fail(self, error: Exception) -> None:
        """Answer every job with `error`, unless there is an answer."""
        self.resolve([error] * len(self.jobs))


class Line:
    """Work in order of arrival. Any thread may call anything."""

    def __init__(self) -> None:
        self._waiting: deque[Work] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, work: Work) -> None:
        """Join the end of the line."""
        with self._changed:
            self._waiting.append(work)
            self._changed.notify()

    def drop(self, work: Work) -> bool:
        """Leave the line, images and all. False if a lane has taken the work already."""
        with self._changed:
            try:
                self._waiting.remove(work)
            except ValueError:
                return False
            return True

    def take(self, images: int) -> list[Work]:
        """Wait for the first in line, and take those that wait behind it as well, as long as
        they hold no more than `images` together. Empty once the line is closed and served.

        Work that was cancelled meanwhile is left out: it never reaches an engine.
        """
        with self._changed:
            while True:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return []
                if turn := self._take_turn(images):
                    return turn

    def _take_turn(self, images: int) -> list[Work]:
        turn: list[Work] = []
        while self._waiting and (not turn or images >= len(self._waiting[0].jobs)):
            work = self._waiting.popleft()
            if work.future.set_running_or_notify_cancel():
                turn.append(work)
                images -= len(work.jobs)
        return turn

    def close(self) -> None:
        """Take no more turns than there is work for."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
