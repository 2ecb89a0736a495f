"""Calls at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")


def in_parallel(calls: Sequence[Callable[[], T]]) -> list[T]:
    """The results of all `calls`, in order: the first is made on this thread, each other on a
    daemon thread of its own, or on this one where the system allows no more threads.

    Returns once all have ended. Raises the exception of the first that failed, in order.
    """
    futures: list[Future[T]] = [Future() for _ in calls]
    pairs = list(zip(futures, calls, strict=True))
    here = pairs[:1]
    for pair in pairs[1:]:
        try:
            threading.Thread(target=settle, args=pair, daemon=True).start()
        except RuntimeError:  # can't start new thread
            here.append(pair)
    for pair in here:
        settle(*pair)
    wait(futures)
    return [future.result() for future in futures]


def settle(future: Future[T], call: Callable[[], T]) -> None:
    """Give `future` the result of `call`, or its exception."""
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)
