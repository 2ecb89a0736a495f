"""Reading an iterator on a thread, with a limit on the wait for each item."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import TypeVar

from face_service.errors import FaceServiceError

T = TypeVar("T")


class End:
    """The last item that the thread hands over. error: what `rows` raised; None at its end."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def each_within(rows: Iterable[T], seconds: float, who: str) -> Iterator[T]:
    """The items of `rows`, which a daemon thread reads.

    seconds: the longest wait for an item. who: the source of `rows`, for the message. Raises what
    `rows` raises, and FaceServiceError after `seconds` without an item; the thread then goes on
    until the process ends.
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
