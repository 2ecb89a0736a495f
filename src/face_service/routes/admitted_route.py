"""What stands before every request that wants an engine: room, a deadline, somebody waiting.

All of it is decided before the body is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive

from face_service.errors import DeadlinePassed, NotReady, Overloaded
from face_service.observability.request_record import CLIENT_GONE
from face_service.routes.deps import get_service, get_settings
from face_service.serving.admission import Place
from face_service.serving.cancelling import DEADLINE, Reason

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class AdmittedRoute(APIRoute):
    """A route whose requests are admitted, have REQUEST_TIMEOUT_S, and are dropped if the
    client goes away."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            service = await get_service(request)
            settings = await get_settings(request)
            size = expected_size(request, int(settings.max_body_mb * 1e6))
            metrics, admission = service.metrics, service.admission
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

        return guarded


def expected_size(request: Request, limit: int) -> int:
    """Bytes of a request's body, before any of it is read: at most `limit`, which is also what an
    undeclared length is taken for."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal():
        return min(int(declared), limit)
    return limit if "transfer-encoding" in request.headers else 0


async def run_until_deadline(
    request: Request, handle: Handler, seconds: float, place: Place
) -> Response:
    """Handle a request for as long as its client waits, at most `seconds`.

    Cancelling is what ends the work: what waits never reaches an engine, and what is computed
    ends before the next network. Raises DeadlinePassed, and Overloaded where the place was given
    to another request.
    """
    wire = DisconnectWatcher(request.receive, place)
    work = asyncio.create_task(handle(Request(request.scope, wire.receive)))
    gone = asyncio.create_task(wire.gone())
    reason: Reason = "client"
    place.on_evicted = work.cancel
    try:
        await asyncio.wait({work, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if wire.left:  # asked first: a handler that was still reading has failed of it
            return Response(status_code=CLIENT_GONE)
        if place.evicted:
            raise Overloaded("The body arrived slowly, and others needed its place", 1)
        if work.done():
            return work.result()
        reason = DEADLINE
        raise DeadlinePassed(f"There was no answer within {seconds:g} s")
    finally:
        work.cancel(reason)
        gone.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


class DisconnectWatcher:
    """`receive` for a handler, which also tells when the client has gone.

    `place` learns how much of the body is there.
    """

    def __init__(self, receive: Receive, place: Place) -> None:
        self._receive = receive
        self._place = place
        self._body_read = asyncio.Event()
        self._gone = asyncio.Event()

    @property
    def left(self) -> bool:
        """Whether the client has gone."""
        return self._gone.is_set()

    async def receive(self) -> Message:
        """The next piece of the body; after its end, the news that the client has gone."""
        if self._body_read.is_set():
            await self._gone.wait()
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._gone.set()
        self._place.received += len(message.get("body", b""))
        if not message.get("more_body"):
            self._place.body_read()
            self._body_read.set()
        return message

    async def gone(self) -> None:
        """Return once the client has closed the connection."""
        await self._body_read.wait()
        while not self._gone.is_set():
            if (await self._receive())["type"] == "http.disconnect":
                self._gone.set()
