"""Workers: threads that own an engine each and compute what is in the queue."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from itertools import count

from face_service.errors import EngineLost
from face_service.face_engine import FaceEngine
from face_service.observability.metrics import Metrics

from .batch import Batch
from .cancelling import reason_of
from .queue import Consumer, Prediction, QueueEntry, RequestQueue
from .stall_clock import StallClock
from .threads import WORKER

logger = logging.getLogger(__name__)


class EngineWorker:
    """A thread, the engine it owns, and what it is computing.

    A batch runs without interruption until it is answered, or all that is left of it is known to
    need more runs of networks than its allowance: then it is suspended. New batches go first;
    after each of them that was answered, and always where there is none, one run of a suspended
    batch follows, round robin. So a new entry waits for one such run, and every suspended batch
    goes on: at most MAX_QUEUE requests can be new before it.

    Each run has an equal share of `threads`, those of all workers together, among the workers that
    compute at the time: alone, a request gets every core.

    broken: the engine fails on an image that is known to be good, or an error has ended the thread.
    The threads are daemons: an inference that hangs does not keep alive a process that was told to
    stop.
    """

    def __init__(
        self,
        engine: FaceEngine,
        queue: RequestQueue,
        metrics: Metrics,
        number: int = 0,
        threads: int | None = None,
    ) -> None:
        self.engine = engine
        self.number = number
        self.broken = False
        self._queue = queue
        self._metrics = metrics
        self._threads = threads or engine.info.threads
        self._consumer = Consumer(number)
        self._suspended: deque[Batch] = deque()
        self._runs = 0
        self._stall = StallClock()
        self._thread = threading.Thread(target=self._serve, name=WORKER, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def occupied(self) -> bool:
        """Whether it has entries that are not answered."""
        return bool(self._consumer.entries)

    def end(self) -> None:
        """Give it no more; its thread then releases the engine."""
        self._queue.close_consumer(self._consumer)

    def stalled_for(self) -> float:
        """Seconds without progress, as StallClock counts them from call to call; 0 while there is
        nothing to do. To be called regularly, by one thread."""
        busy = self._consumer.entries and not self.broken
        progress = (self._runs, self.engine.last_progress()) if busy else None
        return self._stall.look(progress, self._thread.native_id)

    def join(self, stall_timeout: float, until: float) -> None:
        """Wait until the thread has ended, its engine has stalled, or time.monotonic() has
        reached `until`."""
        while self._thread.is_alive() and self.stalled_for() <= stall_timeout:
            if (left := until - time.monotonic()) <= 0:
                return
            self._thread.join(min(0.1, left))

    def abandon(self) -> None:
        """Fail the entries the worker has taken with EngineLost, and give it no more. Results that
        still arrive are dropped. If its thread ever returns from a network that hung, it releases
        the engine."""
        for entry in self._queue.close_consumer(self._consumer):
            entry.fail(EngineLost("Inference did not end, try again later"))

    def _serve(self) -> None:
        try:
            while self._serve_next():
                pass
        except BaseException:
            self.broken = True  # before the log, for which there may be no memory either
            logger.exception("A worker has ended: its engine is replaced")
        if self._consumer.closed and not self.broken:
            self.engine.release()

    def _serve_next(self) -> bool:
        """Compute new entries, and one run of a suspended batch. False when that is all."""
        entries = self._queue.next_batch(
            self.engine.max_batch_images, self._consumer, wait=not self._suspended
        )
        if not entries and not self._suspended:
            return False
        answered = self._begin(entries) if entries else True
        self._drop_unwanted()
        if answered and self._suspended and self._may_go_on:
            self._resume()
        return self._may_go_on

    @property
    def _may_go_on(self) -> bool:
        return not (self.broken or self._consumer.closed)

    def _begin(self, entries: list[QueueEntry]) -> bool:
        """Run a batch until it is answered, or suspended. Returns whether it is answered."""
        batch = Batch(self.engine, entries)
        self._metrics.batch_images.observe(sum(len(entry.images) for entry in entries))
        while not batch.interruptible:
            if not self._advance(batch):
                return True
        self._suspended.append(batch)
        for entry in entries:
            entry.on_suspended(entry)
        return False

    def _resume(self) -> None:
        batch = self._suspended.popleft()
        if self._advance(batch):
            self._suspended.append(batch)

    def _drop_unwanted(self) -> None:
        """Let go of suspended batches of which nothing is wanted any more, and of their images."""
        for batch in [batch for batch in self._suspended if not batch.wanted]:
            self._suspended.remove(batch)
            self._advance(batch)

    def _advance(self, batch: Batch) -> bool:
        """One run of a network. False if nothing must follow."""
        self.engine.limit_threads(self._threads // max(1, self._queue.busy))
        more = batch.advance()
        self._runs += 1
        if batch.failed and not is_sound(self.engine):
            self.broken = True
        if more and self._may_go_on:
            return True
        self._metrics.batch_faces.observe(batch.faces)
        for verdict, images in batch.verdicts.items():
            self._metrics.gate_verdicts.labels(verdict).inc(images)
        self._consumer.forget_answered()
        return False


class WorkerPool:
    """Runs entries on engines, first come, first served.

    On a CPU a network on one thread computes more in a second of a core than one on all of them, so
    requests that come together are computed side by side (docs/decisions/0012).
    """

    def __init__(self, metrics: Metrics) -> None:
        self._threads: int | None = None
        self.queue = RequestQueue()
        self._metrics = metrics
        self._workers: list[EngineWorker] = []

    def __len__(self) -> int:
        return len(self._workers)

    @property
    def engines(self) -> list[FaceEngine]:
        """The engines of the workers, in the order in which they were added."""
        return [worker.engine for worker in self._workers]

    @property
    def fallback(self) -> str | None:
        """Why an engine does not compute on the provider that was asked for; None if all do.

        Engines load one after the other, and a card may have room for the first of them alone.
        """
        fallen = [text for engine in self.engines if (text := engine.info.fallback)]
        if fallen and len(fallen) < len(self):
            return f"{len(fallen)} of {len(self)} workers: {fallen[0]}"
        return fallen[0] if fallen else None

    @property
    def next_number(self) -> int:
        """The lowest number that no worker has."""
        taken = {worker.number for worker in self._workers}
        return next(number for number in count() if number not in taken)

    def add(self, engine: FaceEngine) -> None:
        """Add a worker that owns `engine`, loaded for `next_number`."""
        number = self.next_number
        if number == 0:
            self._threads = engine.info.threads
        worker = EngineWorker(engine, self.queue, self._metrics, number, self._threads)
        self._workers.append(worker)
        worker.start()

    async def run(self, entry: QueueEntry) -> Prediction:
        """Queue an entry, and wait for its prediction.

        Where the caller is cancelled, an entry that waits never reaches an engine, and one that is
        computed ends before the next network. `entry.future` is done when its images are needed no
        more.
        """
        self.queue.append(entry)
        try:
            return await asyncio.wrap_future(entry.future)
        except asyncio.CancelledError as cancelled:
            where = self.queue.cancel(entry)
            self._metrics.cancelled.labels(where, reason_of(cancelled)).inc()
            raise

    def remove_failed(self, stall_timeout: float) -> tuple[int, int]:
        """Abandon workers whose engine broke, or has not moved for `stall_timeout` seconds.

        Returns how many of each. To be called regularly.
        """
        broken = [worker for worker in self._workers if worker.broken]
        working = [worker for worker in self._workers if worker not in broken]
        stalled = [worker for worker in working if worker.stalled_for() > stall_timeout]
        for worker in (*broken, *stalled):
            worker.abandon()
            self._workers.remove(worker)
        for worker in broken:  # a thread may still be inside the others
            worker.engine.release()
        return len(broken), len(stalled)

    def unload(self) -> bool:
        """Have every worker end and release its engine, if none has anything to do. Returns whether
        it is so. What is submitted later waits for workers that are added."""
        if len(self.queue) or any(worker.occupied for worker in self._workers):
            return False
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        return True

    def close(self, stall_timeout: float, within: float = math.inf) -> None:
        """End the workers after what is already in the queue, and wait for that: `within` seconds,
        and not for an engine that has not moved for `stall_timeout` seconds.

        A process that ends while a network runs has to end by os._exit: the run comes back into an
        interpreter that is gone, and aborts.
        """
        self.queue.close()
        until = time.monotonic() + within
        for worker in self._workers:
            worker.join(stall_timeout, until)


def is_sound(engine: FaceEngine) -> bool:
    """Whether an engine that failed on some image still computes an empty one."""
    try:
        engine.self_test()
    except Exception:
        logger.exception("The engine fails on an empty image as well: it is replaced")
        return False
    return True
