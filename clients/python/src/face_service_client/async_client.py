"""AsyncClient: the calls of Client, sent by an event loop."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx

from . import calls
from .calls import Call, GroupOptions, KnownFace, Options
from .client import BASE_URL, DEADLINE_S, TIMEOUT_S
from .errors import ConnectionFailed, TimedOut
from .groups import Embedded, Grouping
from .images import AsyncImage
from .many import Attempted, in_tasks
from .results import Batch, Comparison, Detection, Floats
from .retry import Attempts, Config, Retry
from .status import Health, Models
from .wire import Answer

T = TypeVar("T")
I = TypeVar("I", bound=AsyncImage)  # noqa: E741


class AsyncClient:
    """Client for asyncio: the same arguments, methods and errors, awaited.

    Images may be asynchronous iterables as well; files are read in threads. A call ends as soon as
    its `deadline` passes. A call that is cancelled closes its connection, and the service drops
    the work.
    """

    def __init__(
        self,
        base_url: str = BASE_URL,
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT_S,
        deadline: float = DEADLINE_S,
        retry: Retry | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._config = Config(base_url, api_key, timeout, deadline, retry or Retry())
        self._http = http or httpx.AsyncClient()
        self._http_is_ours = http is None

    async def detect(
        self, image: AsyncImage, *, request_id: str | None = None, **options: Unpack[Options]
    ) -> Detection:
        """As Client.detect."""
        return await self._run(calls.detect(image, options), request_id)

    async def detect_batch(
        self,
        images: Iterable[AsyncImage],
        *,
        request_id: str | None = None,
        **options: Unpack[Options],
    ) -> Batch:
        """As Client.detect_batch."""
        return await self._run(calls.detect_batch(images, options), request_id)

    async def extract_embedding(
        self, image: AsyncImage, *, request_id: str | None = None, **options: Unpack[Options]
    ) -> Detection:
        """As Client.extract_embedding."""
        return await self._run(calls.extract_embedding(image, options), request_id)

    async def compare(
        self,
        a: AsyncImage,
        b: AsyncImage,
        *,
        request_id: str | None = None,
        **options: Unpack[Options],
    ) -> Comparison:
        """As Client.compare."""
        return await self._run(calls.compare(a, b, options), request_id)

    def detect_all(
        self,
        images: Iterable[I] | AsyncIterable[I],
        *,
        parallel: int = 4,
        **options: Unpack[Options],
    ) -> AsyncIterator[Attempted[I, Detection]]:
        """As Client.detect_all; of an asynchronous iterable as well."""

        async def one(image: I) -> Detection:
            return await self._run(calls.detect(image, options), None)

        return in_tasks(images, one, parallel)

    async def embed(
        self, crops: Iterable[AsyncImage], *, crop: bool = False, request_id: str | None = None
    ) -> Embedded:
        """As Client.embed."""
        return await self._run(calls.embed(crops, crop), request_id)

    async def embed_faces(
        self,
        image: AsyncImage,
        faces: Iterable[KnownFace],
        *,
        crop: bool = False,
        request_id: str | None = None,
    ) -> Embedded:
        """As Client.embed_faces."""
        return await self._run(calls.embed_faces(image, faces, crop), request_id)

    async def group(
        self,
        embeddings: Floats | Sequence[Floats],
        *,
        times: Sequence[float | None] | Floats | None = None,
        boxes: Sequence[object] | Floats | None = None,
        quality: Sequence[float | None] | Floats | None = None,
        sources: Sequence[str | None] | None = None,
        request_id: str | None = None,
        **options: Unpack[GroupOptions],
    ) -> Grouping:
        """As Client.group."""
        known = {"time": times, "bbox": boxes, "quality": quality, "source": sources}
        return await self._run(calls.group(embeddings, known, options), request_id)

    async def models(self, *, request_id: str | None = None) -> Models:
        """As Client.models."""
        return await self._run(calls.models(), request_id)

    async def health(self, *, request_id: str | None = None) -> Health:
        """As Client.health."""
        return await self._run(calls.health(), request_id)

    async def ready(self, *, request_id: str | None = None) -> bool:
        """As Client.ready."""
        try:
            return await self._run(calls.ready(), request_id)
        except (ConnectionFailed, TimedOut):
            return False

    async def close(self) -> None:
        """Close the connections; those of an `http` that was given stay open."""
        if self._http_is_ours:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(self, call: Call[T], request_id: str | None) -> T:
        attempts = Attempts(call, self._config, request_id or uuid.uuid4().hex)
        while not attempts.done:
            await asyncio.sleep(attempts.pause)
            try:
                answer = await self._exchange(attempts)
            except httpx.RequestError as error:
                attempts.broke(error)
            else:
                attempts.answered(answer)
        return attempts.result

    async def _exchange(self, attempts: Attempts[T]) -> Answer:
        body = attempts.call.body
        content = body.pieces_async() if body else None
        request = self._http.build_request(**attempts.request(), content=content)
        try:
            async with asyncio.timeout(attempts.left) as limit:
                response = await self._http.send(request)
        except TimeoutError as error:
            if limit.expired():
                raise attempts.expired() from error
            raise
        return Answer(response.status_code, response.headers, response.content)
