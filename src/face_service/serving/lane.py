"""The lane: one thread that owns the sessions and takes work in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Lane:
    """Runs functions one after the other on a thread of its own.

    Two runs at once on one session are slower than one after the other (14 → 11 faces/s on
    2 cores). The thread is a daemon: a download or an inference that hangs does not keep a
    process alive that was told to stop.
    """

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="lane", daemon=True).start()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` on the lane once all earlier calls are done.

        If the caller is cancelled before its turn, the function is never called.
        """
        future: Future[T] = Future()
        self._work.put((future, lambda: function(*args, **kwargs)))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """End the thread after the work that is already in line."""
        self._work.put(None)

    def _run(self) -> None:
        while (job := self._work.get()) is not None:
            future, call = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
