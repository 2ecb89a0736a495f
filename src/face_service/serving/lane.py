"""Lanes: threads that own an engine each and take work in order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TypeVar

from face_service.face_engine import Face, FaceEngine, Job
from face_service.stages import StageTimes

T = TypeVar("T")
Outcome = list[Face] | Exception
"""What became of a job: its faces, or why there are none."""


@dataclass(slots=True)
class Work:
    """The jobs of one request, waiting for a lane."""

    jobs: Sequence[Job]
    times: StageTimes
    future: Future[list[Outcome]] = field(default_factory=Future)
    submitted: float = field(default_factory=time.perf_counter)


class Lanes:
    """Runs jobs on engines, first come, first served.

    One lane is right on a CPU: its networks use every core, and two runs at once on one
    session are slower than one after the other (14 → 11 faces/s on 2 cores). The threads
    are daemons: an inference that hangs does not keep alive a process that was told to stop.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._count = 0

    def open(self, engine: FaceEngine, images_per_turn: int) -> None:
        """Add a lane that owns `engine` and gives it up to so many images at once."""
        self._count += 1
        arguments = (engine, images_per_turn)
        threading.Thread(target=self._serve, args=arguments, name="lane", daemon=True).start()

    async def run(self, jobs: Sequence[Job], times: StageTimes) -> list[Outcome]:
        """The outcome of each job, once their turn has come.

        If the caller is cancelled before that, they never reach an engine.
        """
        work = Work(jobs, times)
        self._queue.put(work)
        return await asyncio.wrap_future(work.future)

    def close(self) -> None:
        """End the lanes after the work that is already in line."""
        for _ in range(self._count):
            self._queue.put(None)

    def _serve(self, engine: FaceEngine, images_per_turn: int) -> None:
        while (first := self._queue.get()) is not None:
            turn = [first, *self._more(images_per_turn - len(first.jobs))]
            turn = [work for work in turn if work.future.set_running_or_notify_cancel()]
            if turn:
                serve_turn(engine, turn)

    def _more(self, images: int) -> list[Work]:
        """Work that is waiting right now, as long as it holds no more than `images`."""
        taken: list[Work] = []
        while images > 0:
            try:
                work = self._queue.get_nowait()
            except Empty:
                break
            if work is None:  # the end: for this lane, after this turn
                self._queue.put(None)
                break
            taken.append(work)
            images -= len(work.jobs)
        return taken


def serve_turn(engine: FaceEngine, turn: Sequence[Work]) -> None:
    """Run the jobs of several requests as one batch and give each request its own."""
    started, times = time.perf_counter(), StageTimes()
    outcomes = iter(analyse_each(engine, [job for work in turn for job in work.jobs], times))
    for work in turn:
        work.times["queue"] = (started - work.submitted) * 1e3
        work.times.update(times)
        work.future.set_result([next(outcomes) for _ in work.jobs])


def analyse_each(engine: FaceEngine, jobs: Sequence[Job], times: StageTimes) -> list[Outcome]:
    """Analyse jobs as one batch; if that fails, one by one, to lose only the guilty."""
    try:
        return list(engine.analyse(jobs, times))
    except Exception as error:
        if len(jobs) == 1:
            return [error]
        return [analyse_each(engine, [job], times)[0] for job in jobs]


async def in_daemon_thread(call: Callable[[], T]) -> T:
    """Call something long on a thread that does not hold up the end of the process."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)
