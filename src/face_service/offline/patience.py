"""Waiting for others no longer than for a time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import TypeVar

from face_service.errors import FaceServiceError

T = TypeVar("T")


class End:
    """Nothing comes behind it. error: why, where that is no end."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def each_within(rows: Iterable[T], seconds: float, who: str) -> Iterator[T]:
    """What is read from `rows`, by a thread of its own.

    Raises what that raises, and FaceServiceError where `who` gives nothing for so many seconds: the
    thread then stays behind, until this process ends.
    """
    given: SimpleQueue[T | End] = SimpleQueue()

    def read() -> None:
        end = End(None)
        try:
            for row in rows:
                given.put(row)
        except BaseException as error:
            end = End(error)
        given.put(end)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            row = given.get(timeout=seconds)
        except Empty:
            said = f"{who} has said nothing for {seconds:g} s: the same command goes on"
            raise FaceServiceError(said) from None
        if isinstance(row, End):
            if row.error:
                raise row.error
            return
        yield row
