"""Processes that embed: one that crashes or hangs costs its item alone.

Each process has a pipe of its own, with one item in it at a time. So it is known which item a
process had when it ended, and there is no shared lock that a process could hold when it is killed.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType

from face_service.engine_info import EngineInfo
from face_service.errors import StartupError
from face_service.offline import analyser
from face_service.offline.analyser import Task
from face_service.offline.manifest import Item
from face_service.offline.schema import Failure, Outcome

ATTEMPTS = 2
"""Of an item whose process ends: the first time the machine may have been out of memory. Also of
loading an engine, where processes end before theirs is loaded."""
AHEAD = 4
"""Items per process that may be waiting, under way, or done before an earlier one, in all."""
ENDING_S = 1.0
"""How long a process that has closed its pipe may take to end; then it is killed."""

Serve = Callable[[Task, int, Connection], None]


@dataclass(slots=True)
class Pending:
    """An item, its number among those of a call, and how many processes have had it."""

    number: int
    item: Item
    attempts: int = 0


@dataclass(slots=True, eq=False)
class Child:
    """A process and this end of its pipe. ready: whether its engine is loaded. pending: the item
    that it computes, None while it has none. since: when it got that item, on time.monotonic()."""

    process: BaseProcess
    pipe: Connection
    ready: bool = False
    pending: Pending | None = None
    since: float = 0

    def give(self, pending: Pending) -> None:
        """Send the process an item, which counts as an attempt even if the process has ended."""
        pending.attempts += 1
        self.pending, self.since = pending, time.monotonic()
        with suppress(OSError):  # it has ended, as is found when its answer is waited for
            self.pipe.send(pending.item)

    def stop(self) -> None:
        """Kill the process, wait until it has ended, and close the pipe."""
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def ended(self) -> str:
        """How the process ended, in words. To be called once it has closed its end of the pipe;
        kills it if it has not ended within ENDING_S."""
        self.process.join(ENDING_S)
        self.stop()
        return how(self.process.exitcode or 0)


class Processes:
    """`count` processes with an engine each; a context manager, which ends by killing them.

    timeout: seconds an item may take. serve: the function that they run, with the task, this
    process's id and their end of a pipe; what it sends is described at `analyser.serve`.
    """

    def __init__(
        self, task: Task, count: int, timeout: float, serve: Serve = analyser.serve
    ) -> None:
        self.count, self._timeout = count, timeout
        self._task, self._serve = task, serve
        self._context = get_context("spawn")
        self._children: list[Child] = []
        self._info: EngineInfo | None = None
        self._failed_starts = 0

    def describe(self) -> EngineInfo:
        """What the engines are made of, once the first is loaded. Raises StartupError where none
        can be loaded."""
        self._start(self.count)
        while self._info is None:
            for child in self._answered(None):
                self._greet(child)
            self._start(self.count)
        return self._info

    def embed(self, items: Sequence[Item]) -> Iterator[Outcome]:
        """The outcome of each item, in order; its failure is `crashed` where its process ended
        ATTEMPTS times, `timed_out` where it took longer than the timeout. Raises StartupError where
        processes that ended cannot be replaced."""
        # Those that still compute an item of an earlier call, which was not read to its end.
        self._drop([child for child in self._children if child.pending])
        fresh = (Pending(number, item) for number, item in enumerate(items))
        waiting = deque(islice(fresh, AHEAD * self.count))
        outcomes: dict[int, Outcome] = {}
        for number in range(len(items)):
            while number not in outcomes:
                self._give(waiting)
                for pending, outcome in self._results():
                    if outcome is None:
                        waiting.appendleft(pending)
                    else:
                        outcomes[pending.number] = outcome
            yield outcomes.pop(number)
            waiting.extend(islice(fresh, 1))

    def _give(self, waiting: deque[Pending]) -> None:
        """Send waiting items to processes that have none; start processes for them."""
        busy = sum(child.pending is not None for child in self._children)
        self._start(min(self.count, busy + len(waiting)))
        for child in self._children:
            if child.ready and not child.pending and waiting:
                child.give(waiting.popleft())

    def _results(self) -> Iterator[tuple[Pending, Outcome | None]]:
        """Wait for a message, the end of a process or a timeout. Yields the items that are done,
        with their outcomes, and those to try again, with None."""
        begun = [child.since for child in self._children if child.pending]
        left = min(begun) + self._timeout - time.monotonic() if begun else None
        for child in self._answered(left):
            if not child.ready:
                self._greet(child)
                continue
            pending, child.pending = child.pending, None
            try:
                outcome = child.pipe.recv()
            except (EOFError, OSError):
                self._children.remove(child)
                ended = child.ended()
                if pending:
                    again = pending.attempts < ATTEMPTS
                    yield pending, None if again else Outcome(pending.item, failure=crash(ended))
            else:
                if pending:
                    yield pending, outcome
        late = time.monotonic() - self._timeout
        for child in [each for each in self._children if each.pending and each.since <= late]:
            if (pending := child.pending) and not child.pipe.poll():
                self._drop([child])
                failure = Failure("timed_out", f"It took longer than {self._timeout:g} s")
                yield pending, Outcome(pending.item, failure=failure)

    def _answered(self, seconds: float | None) -> list[Child]:
        """Those that have sent something or ended. seconds: to wait at most; None: for ever."""
        children = {child.pipe: child for child in self._children}
        return [children[pipe] for pipe in wait(list(children), seconds)]  # type: ignore[index]

    def _greet(self, child: Child) -> None:
        """Take the first message of a process. Raises StartupError where it has no engine."""
        try:
            told = child.pipe.recv()
        except (EOFError, OSError):
            self._children.remove(child)
            told = f"its process ended {child.ended()}"
            self._failed_starts += 1
            if self._failed_starts < ATTEMPTS:
                return
        if not isinstance(told, EngineInfo):
            raise StartupError(f"No engine could be loaded: {told}")
        self._info, self._failed_starts, child.ready = told, 0, True

    def _start(self, count: int) -> None:
        """Have at least `count` processes."""
        while len(self._children) < count:
            ours, theirs = self._context.Pipe()
            process = self._context.Process(
                target=self._serve, args=(self._task, os.getpid(), theirs)
            )
            try:
                process.start()
            except OSError as error:
                raise StartupError(f"No process could be started: {error}") from error
            finally:
                theirs.close()  # else the pipe would stay open when the process ends
            self._children.append(Child(process, ours))

    def _drop(self, children: Iterable[Child]) -> None:
        for child in children:
            self._children.remove(child)
            child.stop()

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._drop([*self._children])


def how(status: int) -> str:
    """How a process ended, in words, by its `exitcode`: a status, or minus the signal's number."""
    try:
        return f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
    except ValueError:
        return f"by signal {-status}"


def crash(ended: str) -> Failure:
    """The failure of an item whose processes ended. ended: how, as `Child.ended` says."""
    return Failure("crashed", f"The process that read it ended {ended}, {ATTEMPTS} times")
