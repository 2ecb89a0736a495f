"""Lanes: threads that own an engine each and take work in order."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from face_service.errors import EngineLost
from face_service.face_engine import FaceEngine, Job
from face_service.metrics import Metrics
from face_service.stages import StageTimes

from .queue import Line, Outcome, Work
from .validation import validate

logger = logging.getLogger(__name__)

T = TypeVar("T")
LANE, BESIDE = "lane", "beside"
"""Names of threads."""


class Lane:
    """A thread, the engine it owns, and what it is doing.

    The threads are daemons: an inference that hangs does not keep alive a process that was
    told to stop.
    """

    def __init__(
        self, engine: FaceEngine, line: Line, images_per_turn: int, metrics: Metrics
    ) -> None:
        self.engine = engine
        self.broken = False
        self._line = line
        self._metrics = metrics
        self._images_per_turn = images_per_turn
        self._turn: list[Work] = []
        self._busy_since: float | None = None
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=LANE, daemon=True)

    def start(self) -> None:
        """Begin to take work."""
        self._thread.start()

    def stalled_for(self) -> float:
        """Seconds since the engine last finished a network, 0 while there is nothing to do."""
        since = self._busy_since
        if since is None:
            return 0.0
        return time.monotonic() - max(since, self.engine.last_progress())

    def join(self, stall_timeout: float) -> None:
        """Wait until the thread has ended, or its engine has stalled."""
        while self._thread.is_alive() and self.stalled_for() <= stall_timeout:
            self._thread.join(0.1)

    def give_up(self) -> None:
        """Answer for a thread that does not. What it still computes is dropped."""
        self._given_up.set()
        for work in self._turn:
            work.fail(EngineLost("Inference did not end, try again later"))

    def _serve(self) -> None:
        while not self._given_up.is_set() and self._take():
            if not self._compute() and not is_sound(self.engine):
                self.broken = True
                return
            self._turn, self._busy_since = [], None

    def _compute(self) -> bool:
        """Serve the turn. False if the engine failed on any of it."""
        self._metrics.images.observe(sum(len(work.jobs) for work in self._turn))
        outcomes = serve_turn(self.engine, self._turn)
        found = [outcome for outcome in outcomes if isinstance(outcome, list)]
        self._metrics.batches.observe(sum(map(len, found)))
        return len(found) == len(outcomes)

    def _take(self) -> bool:
        """Wait for work. Only `_turn` holds it, so that its images go when it is served."""
        self._turn = self._line.take(self._images_per_turn)
        self._busy_since = time.monotonic() if self._turn else None
        return bool(self._turn)


class Lanes:
    """Runs jobs on engines, first come, first served.

    One lane is right on a CPU: its networks use every core, and two runs at once on one
    session are slower than one after the other (14 → 11 faces/s on 2 cores).
    """

    def __init__(self, metrics: Metrics) -> None:
        self.line = Line()
        self._metrics = metrics
        self._open: list[Lane] = []

    def __len__(self) -> int:
        return len(self._open)

    @property
    def engines(self) -> list[FaceEngine]:
        """Those that take work, in the order in which they came."""
        return [lane.engine for lane in self._open]

    @property
    def fallback(self) -> str | None:
        """Why an engine does not compute on what was asked for, if one does not.

        Lanes load one after the other, and a card may have room for the first of them alone.
        """
        fallen = [text for engine in self.engines if (text := engine.info.fallback)]
        if fallen and len(fallen) < len(self):
            return f"{len(fallen)} of {len(self)} lanes: {fallen[0]}"
        return fallen[0] if fallen else None

    def open(self, engine: FaceEngine, images_per_turn: int) -> None:
        """Add a lane that owns `engine` and gives it up to so many images at once."""
        lane = Lane(engine, self.line, images_per_turn, self._metrics)
        self._open.append(lane)
        lane.start()

    async def run(
        self, jobs: Sequence[Job], times: StageTimes, users: list[Future[Any]]
    ) -> list[Outcome]:
        """The outcome of each job, once their turn has come; `times` learns how long it took.

        If the caller is cancelled before that, they never reach an engine. `users` gets the future
        that is done when the jobs are needed no more, cancelled or not.
        """
        # Times of its own: a lane that computes for nobody any more still writes to them.
        work = Work(jobs, StageTimes())
        users.append(work.future)
        self.line.put(work)
        try:
            outcomes = await asyncio.wrap_future(work.future)
        except asyncio.CancelledError:
            waiting = self.line.drop(work)
            self._metrics.cancelled.labels("waiting" if waiting else "computing").inc()
            if waiting:
                times.add("queue", work.submitted, time.perf_counter())
            raise
        times.include(work.times)
        return outcomes

    def remove_lost(self, stall_timeout: float) -> tuple[int, int]:
        """Give up lanes whose engine broke, or has not moved for `stall_timeout` seconds.

        Returns how many of each.
        """
        broken = [lane for lane in self._open if lane.broken]
        stalled = [
            lane for lane in self._open if not lane.broken and lane.stalled_for() > stall_timeout
        ]
        for lane in (*broken, *stalled):
            lane.give_up()
            self._open.remove(lane)
        for lane in broken:  # a thread may still be inside the others
            lane.engine.release()
        return len(broken), len(stalled)

    def close(self, stall_timeout: float) -> None:
        """End the lanes after the work that is already in line, and wait for that, but not for
        an engine that has not moved for `stall_timeout` seconds.

        A process must not end while a network runs: the run comes back into an interpreter
        that is gone, and aborts.
        """
        self.line.close()
        for lane in self._open:
            lane.join(stall_timeout)


def serve_turn(engine: FaceEngine, turn: Sequence[Work]) -> list[Outcome]:
    """Run the jobs of several requests as one batch and give each request its own.

    Returns what became of each job, in order.
    """
    started, times = time.perf_counter(), StageTimes()
    results = analyse_each(engine, [job for work in turn for job in work.jobs], times)
    outcomes = iter(results)
    for work in turn:
        work.times.add("queue", work.submitted, started)
        work.times.include(times)
        work.resolve([next(outcomes) for _ in work.jobs])
    return results


def analyse_each(engine: FaceEngine, jobs: Sequence[Job], times: StageTimes) -> list[Outcome]:
    """Analyse jobs as one batch; if that fails, one by one, to lose only the guilty."""
    try:
        faces = engine.analyse(jobs, times)
        validate(faces)
        return list(faces)
    except Exception as error:
        if len(jobs) == 1:
            return [error]
        return [analyse_each(engine, [job], times)[0] for job in jobs]


def is_sound(engine: FaceEngine) -> bool:
    """Whether an engine that failed on some image still computes one that is known."""
    try:
        engine.self_test()
    except Exception:
        logger.exception("The engine fails on an empty image as well: it is replaced")
        return False
    return True


async def in_daemon_thread(call: Callable[[], T]) -> T:
    """Call something long on a thread that does not hold up the end of the process."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
        else:
            if future.set_running_or_notify_cancel():
                future.set_result(result)

    threading.Thread(target=run, name=BESIDE, daemon=True).start()
    return await asyncio.wrap_future(future)


def is_inside_a_network() -> bool:
    """Whether a thread may still be where only ONNX Runtime can end it: loading, or hung."""
    return any(thread.name in (LANE, BESIDE) for thread in threading.enumerate())
