"""Threads that do not hold up the end of the process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

WORKER, LOADER = "worker", "loader"
"""Names of threads that may be inside ONNX Runtime; `is_inside_a_network` recognises them."""

LEAST_THREADS = 20
"""Threads that the system must allow at the start, beside those that run: a service of two workers
that answers eight requests at once has 16. libuv ends a process without a message if it gets no
thread for the first look-up of a name."""


def can_start_threads(number: int) -> bool:
    """Whether the system lets this process have so many more threads now. They end at once."""
    end = threading.Event()
    threads = [threading.Thread(target=end.wait, daemon=True) for _ in range(number)]
    started = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
    except RuntimeError:  # "can't start new thread"
        return False
    finally:
        end.set()
        for thread in started:
            thread.join()
    return True


async def run_in_daemon_thread(call: Callable[[], T]) -> T:
    """Run a long call on a daemon thread of its own: returns or raises what the call does."""
    return await asyncio.wrap_future(in_daemon_thread(call))


def in_daemon_thread(call: Callable[[], T]) -> Future[T]:
    """Run a long call on a daemon thread of its own; the future has what it returns or raises."""
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

    threading.Thread(target=run, name=LOADER, daemon=True).start()
    return future


def is_inside_a_network() -> bool:
    """Whether a thread may still be inside ONNX Runtime, loading, computing or hung, where nothing
    else can end it."""
    return any(thread.name in (WORKER, LOADER) for thread in threading.enumerate())
