"""Many images, a few at a time: results in order, errors in their place."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from .errors import FaceServiceError, Unauthorized

I = TypeVar("I")  # noqa: E741
R = TypeVar("R")


@dataclass(frozen=True, slots=True, eq=False)
class Attempted(Generic[I, R]):
    """What became of one image, the `index`-th from 0: a result, or else an error."""

    index: int
    image: I
    result: R | None
    error: FaceServiceError | None


def in_threads(
    images: Iterable[I], call: Callable[[I], R], parallel: int
) -> Iterator[Attempted[I, R]]:
    """What `call` returns for each image, in order, `parallel` at a time; at most twice as many
    images are held. A FaceServiceError is in its image's place. Unauthorized and any other
    exception of `call` is raised in its place and ends the iteration, ValueError for a `parallel`
    below 1. Closing the iterator waits for the calls under way."""
    check(parallel)

    def attempt(index: int, image: I) -> Attempted[I, R]:
        try:
            return Attempted(index, image, call(image), None)
        except Unauthorized:
            raise
        except FaceServiceError as error:
            return Attempted(index, image, None, error)

    pool = ThreadPoolExecutor(parallel, "detect-all")
    waiting: deque[Future[Attempted[I, R]]] = deque()
    try:
        for index, image in enumerate(images):
            waiting.append(pool.submit(attempt, index, image))
            while sum(not future.done() for future in waiting) >= parallel:
                wait([future for future in waiting if not future.done()], None, FIRST_COMPLETED)
            while waiting and (waiting[0].done() or len(waiting) >= 2 * parallel):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


async def in_tasks(
    images: Iterable[I] | AsyncIterable[I], call: Callable[[I], Awaitable[R]], parallel: int
) -> AsyncIterator[Attempted[I, R]]:
    """As `in_threads`, in tasks of an event loop; those under way are cancelled when the iterator
    is closed."""
    check(parallel)

    async def attempt(index: int, image: I) -> Attempted[I, R]:
        try:
            return Attempted(index, image, await call(image), None)
        except Unauthorized:
            raise
        except FaceServiceError as error:
            return Attempted(index, image, None, error)

    waiting: deque[asyncio.Task[Attempted[I, R]]] = deque()
    index = 0
    try:
        async for image in as_async(images):
            waiting.append(asyncio.create_task(attempt(index, image)))
            index += 1
            while sum(not task.done() for task in waiting) >= parallel:
                running = [task for task in waiting if not task.done()]
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            while waiting and (waiting[0].done() or len(waiting) >= 2 * parallel):
                yield await waiting.popleft()
        while waiting:
            yield await waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def as_async(images: Iterable[I] | AsyncIterable[I]) -> AsyncIterator[I]:
    """The images of an iterable or of an asynchronous iterable."""
    if isinstance(images, AsyncIterable):
        async for image in images:
            yield image
    else:
        for image in images:
            yield image


def check(parallel: int) -> None:
    """Raise ValueError unless it is at least 1."""
    if parallel < 1:
        raise ValueError("parallel is at least 1")
