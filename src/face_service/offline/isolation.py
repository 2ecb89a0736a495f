"""Processes that embed: one that crashes or hangs costs its item alone."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import TimeoutError as TimedOut
from dataclasses import dataclass
from multiprocessing import get_context
from types import TracebackType
from typing import Any

from pebble import ProcessExpired, ProcessPool

from face_service.engine_info import EngineInfo
from face_service.errors import StartupError
from face_service.offline import analyser
from face_service.offline.analyser import Task
from face_service.offline.manifest import Item
from face_service.offline.schema import Failure, Outcome

ATTEMPTS = 2
"""Of an item whose process ends: the first may have met a machine without memory."""
AHEAD = 4
"""Items that are handed to each process before the first of them is done."""


@dataclass(slots=True)
class Pending:
    """An item that a process has, and how often one had it."""

    item: Item
    future: Any
    attempt: int = 1


class Processes:
    """`count` processes with an engine each. timeout: seconds an item may take."""

    def __init__(self, task: Task, count: int, timeout: float) -> None:
        self.count, self._timeout = count, timeout
        self._pool = ProcessPool(
            max_workers=count,
            initializer=analyser.start,
            initargs=(task, os.getpid()),
            context=get_context("spawn"),
        )

    def describe(self) -> EngineInfo:
        """What the engines are made of. Raises StartupError where they cannot be loaded."""
        try:
            return self._pool.schedule(analyser.describe).result()
        except Exception as error:
            raise StartupError(f"No engine could be loaded: {error}") from error

    def embed(self, items: Sequence[Item]) -> Iterator[Outcome]:
        """The outcome of each item, in order."""
        waiting = iter(items)
        pending: deque[Pending] = deque()
        for item in waiting:
            pending.append(Pending(item, self._schedule(item)))
            if len(pending) >= AHEAD * self.count:
                yield self._result(pending.popleft())
        while pending:
            yield self._result(pending.popleft())

    def _schedule(self, item: Item) -> Any:
        return self._pool.schedule(analyser.embed, args=[item], timeout=self._timeout)

    def _result(self, pending: Pending) -> Outcome:
        while True:
            try:
                return pending.future.result()  # type: ignore[no-any-return]
            except TimedOut:
                failure = Failure("timed_out", f"It took longer than {self._timeout:g} s")
                return Outcome(pending.item, failure=failure)
            except ProcessExpired as error:
                if pending.attempt >= ATTEMPTS:
                    return Outcome(pending.item, failure=crash(error))
                pending.attempt += 1
                pending.future = self._schedule(pending.item)

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


def crash(error: ProcessExpired) -> Failure:
    """Why a process ended, in words."""
    code = error.exitcode
    try:
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
    except ValueError:
        how = f"by signal {-code}"
    return Failure("crashed", f"The process that read it ended {how}, {ATTEMPTS} times")
