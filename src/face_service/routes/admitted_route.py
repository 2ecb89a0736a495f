"""Route class of requests that need an engine: admission (429, 503), deadline (504) and client
disconnect (499). Admission is decided before the body is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive

from face_service.errors import DeadlinePassed, InvalidRequest, NotReady, Overloaded
from face_service.observability.request_record import CLIENT_GONE
from face_service.routes.bodies import LONGEST_NAME
from face_service.routes.deps import get_service, get_settings
from face_service.serving.admission import Place
from face_service.serving.cancelling import DEADLINE, Reason

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class AdmittedRoute(APIRoute):
    """Admits requests, cancels them after REQUEST_TIMEOUT_S or when the client disconnects, and
    counts those that are rejected or expire.

    Raises InvalidRequest for a query that says an option twice, NotReady, Overloaded and
    DeadlinePassed.
    """

    def get_route_handler(self) -> Handler:
        """The route's handler behind admission, with a deadline and a watch for a disconnect."""
        handle = super().get_route_handler()

        async def admitted(request: Request) -> Response:
            service = await get_service(request)
            settings = await get_settings(request)
            size = expected_size(request, settings.max_body_bytes)
            metrics, admission = service.metrics, service.admission
            refuse_repeated(request)
            try:
                service.require_ready()
                with admission.admit(size) as place:
                    seconds = settings.request_timeout_s
                    return await run_until_deadline(request, handle, seconds, place)
            except NotReady:
                metrics.rejected.labels(service.status).inc()
                raise
            except Overloaded:
                metrics.rejected.labels("overloaded").inc()
                raise
            except DeadlinePassed:
                metrics.expired.inc()
                raise

        return admitted


def refuse_repeated(request: Request) -> None:
    """Raise InvalidRequest if an option is in the query twice: one of the two would be ignored
    silently."""
    names = [name for name, _ in request.query_params.multi_items()]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InvalidRequest(f"{twice[:LONGEST_NAME]}: is given twice")


def expected_size(request: Request, limit: int) -> int:
    """Bytes to reserve for a request's body before it is read: its Content-Length, at most `limit`;
    `limit` for a chunked body; 0 without a body."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal():
        return min(int(declared), limit)
    return limit if "transfer-encoding" in request.headers else 0


async def run_until_deadline(
    request: Request, handle: Handler, seconds: float, place: Place
) -> Response:
    """Run `handle` until it returns, the client disconnects, or `seconds` have passed.

    In the latter cases the task is cancelled: images in the queue never reach an engine, and those
    being computed stop before the next network. A disconnect returns a response with status 499,
    which nobody receives. Raises DeadlinePassed, Overloaded if `place` was evicted, and what
    `handle` raises.
    """
    watcher = DisconnectWatcher(request.receive, place)
    work = asyncio.create_task(handle(Request(request.scope, watcher.receive)))
    disconnect = asyncio.create_task(watcher.wait_disconnected())
    reason: Reason = "client"
    place.on_evicted = work.cancel
    try:
        await asyncio.wait({work, disconnect}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if watcher.disconnected:  # first: a handler that was still reading failed because of it
            return Response(status_code=CLIENT_GONE)
        if place.evicted:
            raise Overloaded("The body arrived slowly, and others needed its place", 1)
        if work.done():
            return work.result()
        reason = DEADLINE
        raise DeadlinePassed(f"There was no answer within {seconds:g} s")
    finally:
        work.cancel(reason)
        disconnect.cancel()
        await asyncio.gather(work, disconnect, return_exceptions=True)


class DisconnectWatcher:
    """Wraps an ASGI `receive`: notices the disconnect of the client, also while no handler reads.

    Keeps `place.received`, the bytes of the body that have arrived, up to date.
    """

    def __init__(self, receive: Receive, place: Place) -> None:
        self._receive = receive
        self._place = place
        self._body_read = asyncio.Event()
        self._disconnected = asyncio.Event()

    @property
    def disconnected(self) -> bool:
        """Whether the client has disconnected."""
        return self._disconnected.is_set()

    async def receive(self) -> Message:
        """The next chunk of the body; after the last one, `http.disconnect` once that happens."""
        if self._body_read.is_set():
            await self._disconnected.wait()
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._disconnected.set()
        self._place.received += len(message.get("body", b""))
        if not message.get("more_body"):
            self._place.body_read()
            self._body_read.set()
        return message

    async def wait_disconnected(self) -> None:
        """Return once the client has disconnected. Reads `receive` after the end of the body."""
        await self._body_read.wait()
        while not self._disconnected.is_set():
            if (await self._receive())["type"] == "http.disconnect":
                self._disconnected.set()
