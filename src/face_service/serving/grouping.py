"""Runs groupings, one after the other, on threads that give way to those of the networks."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from face_service.errors import NotReady, OutOfMemory
from face_service.grouping.faces import Faces
from face_service.grouping.grouping import Grouping, GroupOptions, group
from face_service.observability.metrics import Metrics
from face_service.observability.timing import StageTimes
from face_service.runtime.threads import lower_thread_priority

from .cancelling import reason_of

MAX_THREADS = 4
"""Most threads that multiply matrices."""


class GroupingCancelled(Exception):
    """Nobody waits for the grouping any more, or the runner was closed."""


class GroupingRunner:
    """Runs one grouping at a time: their memory does not add up, and two that shared the processors
    would both be slower. threads: for products of matrices, at most MAX_THREADS. Belongs to one
    event loop."""

    def __init__(self, threads: int, metrics: Metrics) -> None:
        self._metrics = metrics
        self._closed = threading.Event()
        self._runner = ThreadPoolExecutor(1, "group", lower_thread_priority)
        self._products = ThreadPoolExecutor(
            min(threads, MAX_THREADS), "group-products", lower_thread_priority
        )

    async def run(self, faces: Faces, options: GroupOptions, times: StageTimes) -> Grouping:
        """The grouping of faces. Stages `queue` and `group` are added to `times`.

        If the caller is cancelled, the work ends within a fraction of a second. Raises NotReady
        after `close`, OutOfMemory where memory does not suffice.
        """
        cancelled, began = threading.Event(), threading.Event()
        submitted = time.perf_counter()

        def checkpoint() -> None:
            if cancelled.is_set() or self._closed.is_set():
                raise GroupingCancelled

        def work() -> tuple[Grouping, float, float]:
            began.set()
            started = time.perf_counter()
            found = group(faces, options, self._products, checkpoint)
            return found, started, time.perf_counter()

        try:
            found, started, ended = await asyncio.wrap_future(self._runner.submit(work))
        except asyncio.CancelledError as error:
            cancelled.set()
            where = "computing" if began.is_set() else "waiting"
            self._metrics.cancelled.labels(where, reason_of(error)).inc()
            raise
        except MemoryError as error:
            raise OutOfMemory("There is no memory for this now, try again later") from error
        except (GroupingCancelled, RuntimeError) as error:
            if not self._closed.is_set():
                raise
            raise NotReady("The service is draining, try again in a moment") from error
        times.add("queue", submitted, started)
        times.add("group", started, ended)
        return found

    def close(self) -> None:
        """End what is under way; threads are not waited for."""
        self._closed.set()
        self._runner.shutdown(wait=False, cancel_futures=True)
        self._products.shutdown(wait=False, cancel_futures=True)
