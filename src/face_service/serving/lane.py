"""Lanes: threads that own an engine each and take work in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from face_service.face_engine import FaceEngine

T = TypeVar("T")


class Lanes:
    """Runs work on engines, first come, first served.

    One lane is right on a CPU: its networks use every core, and two runs at once on one
    session are slower than one after the other (14 → 11 faces/s on 2 cores). The threads
    are daemons: an inference that hangs does not keep alive a process that was told to stop.
    """

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Future[Any], Callable[[FaceEngine], Any]] | None]
        self._work = SimpleQueue()
        self._count = 0

    def open(self, engine: FaceEngine) -> None:
        """Add a lane that owns `engine`."""
        self._count += 1
        threading.Thread(target=self._serve, args=(engine,), name="lane", daemon=True).start()

    async def run(self, work: Callable[[FaceEngine], T]) -> T:
        """Call `work` with an engine once its turn has come.

        If the caller is cancelled before that, `work` is never called.
        """
        future: Future[T] = Future()
        self._work.put((future, work))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """End the lanes after the work that is already in line."""
        for _ in range(self._count):
            self._work.put(None)

    def _serve(self, engine: FaceEngine) -> None:
        while (item := self._work.get()) is not None:
            future, work = item
            if future.set_running_or_notify_cancel():
                resolve(future, lambda work=work: work(engine))  # type: ignore[misc]


def resolve(future: Future[T], call: Callable[[], T]) -> None:
    """Put what `call` returns or raises into `future`."""
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)


async def in_daemon_thread(call: Callable[[], T]) -> T:
    """Call something long on a thread that does not hold up the end of the process."""
    future: Future[T] = Future()
    threading.Thread(target=resolve, args=(future, call), daemon=True).start()
    return await asyncio.wrap_future(future)
