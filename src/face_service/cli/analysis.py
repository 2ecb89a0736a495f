"""The service without a server: files in, faces out, decoded while the networks run."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar, cast

from face_service.cli.files import read_file
from face_service.cli.videos import Source, VideoFrame
from face_service.config import Settings
from face_service.engine_factory import load_engine, runtime_config
from face_service.errors import RequestError
from face_service.face_engine import Options
from face_service.serving.answers import Answer
from face_service.serving.decoded import DecodedImage
from face_service.serving.service import FaceService, Limits


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[FaceService]:
    """A service that is ready, for the length of the block. Raises StartupError."""
    load = partial(load_engine, settings, runtime_config(settings))
    service = FaceService(load, Limits.of(settings))
    block = cast("asyncio.Task[object]", asyncio.current_task())

    def end(watching: asyncio.Task[None]) -> None:
        if not watching.cancelled() and watching.exception():
            block.cancel()

    try:
        await service.start()
        watching = asyncio.create_task(service.watch())
        watching.add_done_callback(end)
        try:
            yield service
        finally:
            watching.cancel()
    except asyncio.CancelledError:
        if service.failure:  # engines hung too often, and are not replaced any more
            raise service.failure from None
        raise
    finally:
        service.close()


S = TypeVar("S", bound=Source)


async def analyse_files(
    service: FaceService,
    files: Iterable[S] | AsyncIterable[S],
    options: Options,
    settings: Settings,
) -> AsyncGenerator[tuple[S, Answer | None], None]:
    """The answer for each file or frame of a video, in order, within the limits of the service. A
    RequestError is an answer too; None for a file that lies in a folder and is no image.

    So many are under way that there is always one to compute: every worker has a full batch in
    hand and the next in the queue, while the files after these are read and decoded.
    """
    ahead = service.ahead
    max_bytes = settings.max_body_bytes
    under_way: deque[tuple[S, asyncio.Task[Answer | None]]] = deque()

    async def analyse(file: S) -> Answer | None:
        try:
            if isinstance(file, VideoFrame):
                if isinstance(file.image, RequestError):
                    return file.image
                return await service.analyse(DecodedImage(file.image), options)
            data = await service.run_in_pool(read_file, file, max_bytes)
            return await service.analyse(data, options) if data is not None else None
        except RequestError as error:
            return error

    try:
        async for file in one_by_one(files):
            under_way.append((file, asyncio.create_task(analyse(file))))
            if len(under_way) >= ahead:
                first, task = under_way.popleft()
                yield first, await task
        while under_way:
            first, task = under_way.popleft()
            yield first, await task
    finally:
        rest = [task for _, task in under_way]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)  # and out of the queue


async def one_by_one(items: Iterable[S] | AsyncIterable[S]) -> AsyncIterator[S]:
    """The items of an iterable or of an asynchronous iterable."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
