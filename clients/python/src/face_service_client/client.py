"""Client and AsyncClient: the same calls, sent by threads or by an event loop."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx

from . import calls
from .calls import Call, Options
from .errors import ConnectionFailed, TimedOut
from .images import AsyncImage, Image
from .results import Batch, Comparison, Detection, Health, Models
from .retry import Attempts, Config, Retry
from .wire import Answer

T = TypeVar("T")

BASE_URL = "http://localhost:8100"
TIMEOUT_S = 35.0
"""A little over the service's own REQUEST_TIMEOUT_S of 30: its 504 says more than a silence."""
DEADLINE_S = 120.0


class Client:
    """Calls a face service; may be shared by threads.

    base_url: where the service is, with the path before its own where it has one.
    api_key: sent as `Authorization: Bearer …`.
    timeout: seconds of silence after which an attempt counts as broken.
    deadline: seconds a call may take, all attempts and pauses together. Looked at between the
    pieces of a body; an answer that does not begin is noticed by `timeout`.
    retry: how often a call is tried, and the pauses.
    http: an httpx client of your own, for a proxy, certificates or connection limits; it stays
    open when this one is closed.

    Every method takes `request_id`, the id under which the service logs the call (a new one
    where it is left out; letters, digits and `._:-`), and raises the errors of
    `face_service_client.errors`. 429, 500, 502, 503, 504, broken connections and timeouts are
    tried again; anything else is raised at once.
    """

    def __init__(
        self,
        base_url: str = BASE_URL,
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT_S,
        deadline: float = DEADLINE_S,
        retry: Retry | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self._config = Config(base_url, api_key, timeout, deadline, retry or Retry())
        self._http = http or httpx.Client()
        self._http_is_ours = http is None

    def detect(
        self, image: Image, *, request_id: str | None = None, **options: Unpack[Options]
    ) -> Detection:
        """Every face of an image. The options are those of `Options`."""
        return self._run(calls.detect(image, options), request_id)

    def detect_batch(
        self, images: Iterable[Image], *, request_id: str | None = None, **options: Unpack[Options]
    ) -> Batch:
        """Every face of several images, in one request.

        One result for each, in order: its faces or an error of its own, which is not raised.
        The service takes 32 images at once unless its MAX_BATCH_FILES says otherwise.
        """
        return self._run(calls.detect_batch(images, options), request_id)

    def extract_embedding(
        self, image: Image, *, request_id: str | None = None, **options: Unpack[Options]
    ) -> Detection:
        """The same as `detect` through JSON.

        A str is the image itself, as base64 or as a data: URL; anything else is encoded while
        it is sent. For an image that is not base64 yet, `detect` sends a quarter less.
        """
        return self._run(calls.extract_embedding(image, options), request_id)

    def compare(
        self, a: Image, b: Image, *, request_id: str | None = None, **options: Unpack[Options]
    ) -> Comparison:
        """Who of image `a` is who of image `b`. Embeddings only with `embeddings=True`."""
        return self._run(calls.compare(a, b, options), request_id)

    def models(self, *, request_id: str | None = None) -> Models:
        """The loaded pack and the known ones: licences, thresholds, files."""
        return self._run(calls.models(), request_id)

    def health(self, *, request_id: str | None = None) -> Health:
        """What the service says of itself now, healthy or not. Asked once, not again."""
        return self._run(calls.health(), request_id)

    def ready(self, *, request_id: str | None = None) -> bool:
        """Whether a request would be answered now. False where nobody listens, too."""
        try:
            return self._run(calls.ready(), request_id)
        except (ConnectionFailed, TimedOut):
            return False

    def close(self) -> None:
        """Close the connections."""
        if self._http_is_ours:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, call: Call[T], request_id: str | None) -> T:
        attempts = Attempts(call, self._config, request_id or uuid.uuid4().hex)
        while not attempts.done:
            time.sleep(attempts.pause)
            try:
                answer = self._exchange(attempts)
            except httpx.RequestError as error:
                attempts.broke(error)
            else:
                attempts.answered(answer)
        return attempts.result

    def _exchange(self, attempts: Attempts[T]) -> Answer:
        body = attempts.call.body
        content = attempts.within(body.pieces()) if body else None
        request = self._http.build_request(**attempts.request(), content=content)
        response = self._http.send(request, stream=True)
        try:
            received = b"".join(attempts.within(response.iter_bytes()))
        finally:
            response.close()
        return Answer(response.status_code, response.headers, received)


class AsyncClient:
    """Client for asyncio: the same arguments, methods and errors, awaited.

    Images may be asynchronous iterables as well; files are read in threads. `deadline` ends a
    call on the second. A call that is cancelled closes its connection, and the service drops
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
        """Close the connections."""
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
