"""The queue of requests that wait for an engine."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from face_service.engine_info import EngineInfo
from face_service.face_engine import Face, PreparedImage
from face_service.observability.timing import StageTimes
from face_service.vision.closer import Coverage

UNINTERRUPTED = 16
"""Runs of networks that a new entry may take without interruption: about 50 faces. Ordinary
requests are then served one after the other, which is what makes their mean latency least."""


class Predicted(NamedTuple):
    """The faces of an image, and what computed them. omitted: how many faces were left out because
    of MAX_FACES. coverage: how closely it was looked at; None where its faces were known."""

    info: EngineInfo
    faces: list[Face]
    omitted: int
    coverage: Coverage | None = None


ImageResult = Predicted | Exception
"""The result of an image: its faces, or the exception that prevented them."""


class Prediction(NamedTuple):
    """The result of an entry: a result for each image, in order, how long each stage took, and the
    entry's share of the engine's time, in seconds. Of an entry that was cancelled while a worker
    had it, results may be missing."""

    results: list[ImageResult]
    times: StageTimes
    seconds: float


def no_callback(_: QueueEntry) -> None:
    """The default of `on_suspended`."""


@dataclass(slots=True, eq=False)
class QueueEntry:
    """Images that are computed together: those of a request, or a part of them.

    The first call of `resolve` or `fail` wins; later ones are ignored. allowance: most runs of
    networks that it may take without interruption; 0 for the later parts of a request.
    on_suspended: called with it on the worker's thread, once, if it needs more runs than that.
    abandoned: whether it was cancelled. submitted, began: when it was made, and when a worker took
    it, on time.perf_counter().
    """

    images: Sequence[PreparedImage]
    allowance: int = UNINTERRUPTED
    on_suspended: Callable[[QueueEntry], None] = no_callback
    future: Future[Prediction] = field(default_factory=Future)
    submitted: float = field(default_factory=time.perf_counter)
    began: float | None = None
    abandoned: bool = False

    @property
    def wanted(self) -> bool:
        """Whether the result is still needed: neither cancelled nor answered."""
        return not self.abandoned and not self.future.done()

    def resolve(self, prediction: Prediction) -> None:
        """Answer the entry, unless it has an answer or was cancelled."""
        try:
            self.future.set_result(prediction)
        except InvalidStateError:  # a worker that was given up has returned after all
            return

    def fail(self, error: Exception) -> None:
        """Answer every image with `error`, unless the entry has an answer or was cancelled."""
        results: list[ImageResult] = [error] * len(self.images)
        self.resolve(Prediction(results, StageTimes(), 0.0))


class Consumer:
    """The entries that one worker has taken and not answered yet. A closed consumer is given no
    more; `closed` is set under the queue's lock. number: of the worker, from 0."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.entries: list[QueueEntry] = []
        self.closed = False

    def forget_answered(self) -> None:
        """Drop answered entries, and with them their images. For the worker's thread only."""
        self.entries = [entry for entry in self.entries if not entry.future.done()]


class RequestQueue:
    """Entries in order of arrival. Any thread may call anything."""

    def __init__(self) -> None:
        self._waiting: deque[QueueEntry] = deque()
        self._changed = threading.Condition()
        self._idle: set[Consumer] = set()
        self._busy: set[Consumer] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def requests(self) -> int:
        """How many requests wait of which nothing has been computed yet."""
        with self._changed:
            return sum(entry.allowance > 0 for entry in self._waiting)

    @property
    def busy(self) -> int:
        """How many consumers compute."""
        return len(self._busy)

    def append(self, entry: QueueEntry) -> None:
        """Join the end of the queue."""
        with self._changed:
            self._waiting.append(entry)
            self._changed.notify_all()

    def cancel(self, entry: QueueEntry) -> Literal["waiting", "computing"]:
        """Cancel an entry. Returns its state: one that was waiting leaves the queue and never
        reaches an engine, one that is being computed ends before the next network."""
        with self._changed:
            entry.abandoned = True
            entry.future.cancel()
            if entry in self._waiting:
                self._waiting.remove(entry)
        return "waiting" if entry.future.cancelled() else "computing"

    def next_batch(self, images: int, consumer: Consumer, wait: bool) -> list[QueueEntry]:
        """Take the first entry, however large, and those behind it of the same allowance while they
        hold at most `images` images together. They go to the idle consumer of the lowest number,
        and to one that does not `wait` only where none is idle.

        With `wait`, blocks until there is an entry; empty once the queue is closed and has none
        left. Without it, empty at once where there is none to take. Always empty for a consumer
        that is closed. What was cancelled meanwhile is left out.
        """
        with self._changed:
            if wait:
                self._busy.discard(consumer)
                self._idle.add(consumer)
            try:
                while not consumer.closed:
                    if self._is_next(consumer) and (batch := self._take(images, consumer)):
                        self._busy.add(consumer)
                        return batch
                    if self._closed or not wait:
                        break
                    self._changed.wait()
                return []
            finally:
                self._idle.discard(consumer)
                if self._waiting:
                    self._changed.notify_all()

    def _is_next(self, consumer: Consumer) -> bool:
        return min(self._idle, key=lambda idle: idle.number, default=consumer) is consumer

    def _take(self, images: int, consumer: Consumer) -> list[QueueEntry]:
        """An entry is added to the consumer's before it leaves the queue: should the thread end
        anywhere here, whoever closes the consumer can fail the entry."""
        batch: list[QueueEntry] = []
        while self._waiting:
            entry = self._waiting[0]
            alike = not batch or entry.allowance == batch[0].allowance
            if batch and not (alike and len(entry.images) <= images):
                break
            consumer.entries.append(entry)
            self._waiting.popleft()
            if entry.future.set_running_or_notify_cancel():
                entry.began = time.perf_counter()
                batch.append(entry)
                images -= len(entry.images)
            else:
                consumer.entries.pop()
        return batch

    def close_consumer(self, consumer: Consumer) -> list[QueueEntry]:
        """Give a consumer nothing more. Returns what it has taken and not answered."""
        with self._changed:
            consumer.closed = True
            self._busy.discard(consumer)
            self._changed.notify_all()
            return list(consumer.entries)

    def close(self) -> None:
        """From now on consumers get what is left in the queue, and wait for nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
