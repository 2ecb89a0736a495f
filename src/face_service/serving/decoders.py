"""The decode pool: threads that decode images, watched as engines are."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, ParamSpec, TypeVar

from face_service.errors import DecodingStalled, NotReady, StartupError
from face_service.observability.metrics import Metrics
from face_service.runtime.threads import lower_thread_priority
from face_service.vision.image import set_up_opencv

from .stall_clock import StallClock

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
DECODE = "decode"
"""Name of the threads, by which `is_decoding` finds them."""
WATCH_S = 0.25
"""Interval at which the threads are checked, in seconds."""
MAX_STALLED, WITHIN_S = 3, 3600.0
"""The process ends once so many threads have hung within so many seconds: each keeps a processor
and the memory of its image, and neither can be had back."""
JOIN_S = 1.0
"""Seconds that `close` waits for idle threads to end."""


class Task(NamedTuple):
    """A call, and the future of what it returns."""

    call: Callable[[], Any]
    future: Future[Any]


class Decoder:
    """A thread that takes tasks, and the task it is doing.

    A daemon: an image that takes hours does not keep alive a process that was told to stop.
    """

    def __init__(self, tasks: SimpleQueue[Task | None], initializer: Callable[[], None]) -> None:
        self._tasks = tasks
        self._initializer = initializer
        self._doing: Task | None = None
        self._begun = 0
        self._given_up = False
        self._changing = threading.Lock()
        self._stall = StallClock()
        self.thread = threading.Thread(target=self._run, name=DECODE, daemon=True)

    @property
    def idle(self) -> bool:
        """Whether it is doing nothing."""
        return self._doing is None

    def stalled_task(self, timeout: float) -> Task | None:
        """The task it is doing, if that has taken more than `timeout` seconds, as StallClock counts
        them from call to call; else None. To be called regularly, by one thread."""
        with self._changing:
            task, number = self._doing, self._begun
        seconds = self._stall.look(number if task else None, self.thread.native_id)
        return task if seconds > timeout else None

    def give_up(self, task: Task, error: Exception) -> bool:
        """Fail `task` with `error`, if it is still being done, and returns whether it was. A result
        that still arrives is then dropped, and the thread takes no other task."""
        with self._changing:
            if self._doing is not task:
                return False
            self._given_up = True
        with suppress(InvalidStateError):  # done in this moment
            task.future.set_exception(error)
        return True

    def _run(self) -> None:
        try:
            self._initializer()
        except Exception as error:
            logger.error("A decode thread cannot run: %s", error, extra={"kind": {}})
            return
        while not self._given_up and (task := self._tasks.get()):
            if task.future.set_running_or_notify_cancel():
                self._begin(task)
                perform(task)
                self._end()
            del task  # its image goes now, not when the next one comes

    def _begin(self, task: Task) -> None:
        with self._changing:
            self._doing = task
            self._begun += 1

    def _end(self) -> None:
        """From here on `give_up` does nothing; where it came first, the thread ends."""
        with self._changing:
            self._doing = None


def perform(task: Task) -> None:
    """Run the call and set its future, unless that has failed meanwhile (`Decoder.give_up`)."""
    with suppress(InvalidStateError):
        try:
            result = task.call()
        except BaseException as error:
            task.future.set_exception(error)
        else:
            task.future.set_result(result)


class DecodePool:
    """`threads` threads that decode; `watch` replaces those that end or hang.

    One has hung when it has been inside one image for `stall_timeout` seconds, as StallClock counts
    them. initializer: called on each thread as it begins. failure: why only a new process helps;
    None while that is not so.
    """

    def __init__(
        self,
        threads: int,
        stall_timeout: float,
        metrics: Metrics | None = None,
        initializer: Callable[[], None] = lower_thread_priority,
    ) -> None:
        self.failure: StartupError | None = None
        self._threads = threads
        self._stall_timeout = stall_timeout
        self._metrics = metrics or Metrics()
        self._initializer = initializer
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._decoders: list[Decoder] = []
        self._stalled: deque[float] = deque(maxlen=MAX_STALLED)
        self._closed = False
        set_up_opencv()
        self._fill()

    def __len__(self) -> int:
        """Threads that are alive, including those that have hung since the last check."""
        return sum(decoder.thread.is_alive() for decoder in self._decoders)

    @property
    def complete(self) -> bool:
        """Whether every thread is alive."""
        return len(self) == self._threads

    def submit(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Submit a call to a thread of the pool, in the context of the caller.

        The future fails with DecodingStalled if the call hangs, and is cancelled where `close`
        comes first. Raises NotReady after `close`.
        """
        if self._closed:
            raise NotReady("The service is draining, try again in a moment")
        future: Future[T] = Future()
        here = copy_context()  # what is logged there belongs to this request
        self._tasks.put(Task(partial(here.run, partial(call, *args, **kwargs)), future))
        return future

    async def watch(self) -> None:
        """Replace threads that end or hang, until cancelled.

        Raises StartupError once so many have hung that only a new process helps.
        """
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                self.look_after()
            except StartupError:
                raise
            except Exception:  # nothing else watches the threads
                logger.exception("Watching the decode threads failed, and goes on")

    def look_after(self) -> None:
        """Replace threads that have ended or hung; `watch` calls it. Raises StartupError, which is
        also `failure`, once MAX_STALLED have hung within WITHIN_S."""
        if self._closed:
            return
        ended = [decoder for decoder in self._decoders if not decoder.thread.is_alive()]
        stalled = [decoder for decoder in self._decoders if self._give_up_stalled(decoder)]
        self._metrics.decoders_lost.labels("ended").inc(len(ended))
        self._metrics.decoders_lost.labels("stalled").inc(len(stalled))
        self._decoders = [one for one in self._decoders if one not in (*ended, *stalled)]
        if len(self._stalled) == MAX_STALLED and (time.monotonic() - self._stalled[0] <= WITHIN_S):
            self.failure = StartupError(
                f"{MAX_STALLED} decoders have hung within an hour: this process ends so that a "
                "new one can take over"
            )
            raise self.failure
        self._fill()

    def close(self) -> None:
        """End the threads, and cancel the calls that wait. Threads that are decoding are not
        joined."""
        self._closed = True
        with suppress(Empty):
            while task := self._tasks.get_nowait():
                task.future.cancel()
        for _ in self._decoders:
            self._tasks.put(None)
        until = time.monotonic() + JOIN_S
        for decoder in self._decoders:
            while decoder.thread.is_alive() and decoder.idle and time.monotonic() < until:
                decoder.thread.join(0.01)

    def _give_up_stalled(self, decoder: Decoder) -> bool:
        task = decoder.stalled_task(self._stall_timeout)
        if task is None:
            return False
        error = DecodingStalled(f"The image could not be decoded within {self._stall_timeout:g} s")
        if not decoder.give_up(task, error):
            return False
        self._stalled.append(time.monotonic())
        logger.error(
            "A decoder has been inside one image for %.0f s: it is given up", self._stall_timeout
        )
        return True

    def _fill(self) -> None:
        while len(self._decoders) < self._threads:
            decoder = Decoder(self._tasks, self._initializer)
            try:
                decoder.thread.start()
            except RuntimeError as error:  # the system gives no more; the watch tries again
                logger.error("No decode thread: %s", error, extra={"kind": {}})
                return
            self._decoders.append(decoder)


def is_decoding() -> bool:
    """Whether a thread may still be inside an image."""
    return any(thread.name == DECODE for thread in threading.enumerate())
