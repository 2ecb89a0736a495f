"""The HTTP server: uvicorn, with bounds on what a connection may hold and an orderly end."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

logger = logging.getLogger(__name__)

MAX_HEADER_BYTES = 64 * 1024
"""Request line and headers together, as in Node's and Go's servers, give or take; and what comes
behind the last chunk of a body, which is headers as well."""
HEADER_TIMEOUT_S = 10.0
"""From the first byte of the headers to the last; for a new connection from its beginning."""
LINGER_S = 10.0
"""For the rest of a body whose request has its answer: it is read and dropped, or the client
would see a reset in place of the answer."""
WRITE_TIMEOUT_S = 30.0
"""For a client to take in the next piece of an answer."""
FIRST_REQUEST_S = 0.5
"""For the request on a connection that was opened just before the port was closed."""
KEEP_ALIVE_S = 65
"""For an idle connection: longer than clients keep theirs, who would meet a closed one else."""


def bounded_protocol(max_connections: int) -> type[HttpToolsProtocol]:
    """uvicorn's HTTP/1.1 on a connection that cannot be held for nothing.

    uvicorn alone waits for ever for headers, buffers them without end, and answers malformed
    requests in plain text.
    """

    class BoundedProtocol(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None
        _between_bodies = True
        _header_bytes = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > max_connections:
                transport.abort()
            else:
                self._end_after(HEADER_TIMEOUT_S)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            self._header_bytes += len(data)
            super().data_received(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self._refuse("431 Request Header Fields Too Large", "The headers are too large")
            elif self._between_bodies and self._header_bytes and self._timer is None:
                self._end_after(HEADER_TIMEOUT_S)

        def on_headers_complete(self) -> None:
            self._stop_timer()
            self._between_bodies, self._header_bytes = False, 0
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._header_bytes = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._stop_timer()
            self._between_bodies, self._header_bytes = True, 0
            super().on_message_complete()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._linger()

        def shutdown(self) -> None:
            if self.cycle is None:  # a request may be on its way: it is owed an answer
                self._end_after(FIRST_REQUEST_S)
            else:
                super().shutdown()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._end_after(WRITE_TIMEOUT_S)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._stop_timer()
            self._linger()

        def send_400_response(self, msg: str) -> None:
            self._refuse("400 Bad Request", "The request is not valid HTTP/1.1")

        def _refuse(self, status: str, detail: str) -> None:
            """Answer in the one error shape, without the application, and hang up."""
            self._header_bytes = 0
            if self.transport.is_closing():
                return
            if not self._between_bodies and self.cycle.response_started:
                self.transport.close()  # the request has its answer
                return
            request_id = uuid.uuid4().hex
            code = status.partition(" ")[2].lower().replace(" ", "_")
            logger.info(
                "Refused",
                extra={
                    "fields": {"status": int(status[:3]), "code": code, "request_id": request_id},
                    "kind": {"code": code},
                },
            )
            body = json.dumps({"detail": detail, "code": code, "request_id": request_id})
            self.transport.write(
                f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
                f"connection: close\r\n\r\n{body}".encode()
            )
            self.transport.close()

        def _linger(self) -> None:
            """Wait no longer than a while for a body that nobody wants any more."""
            if not self._between_bodies and self.cycle.response_complete:
                self._end_after(LINGER_S)

        def _end_after(self, seconds: float) -> None:
            self._stop_timer()
            self._timer = self.loop.call_later(seconds, self.transport.abort)

        def _stop_timer(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return BoundedProtocol


class Server(uvicorn.Server):
    """Ends in order: on the first SIGTERM or SIGINT `drain` is awaited, then the port is closed
    and the process ends with status 0. A second signal ends it at once."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._drain = drain
        self._draining: asyncio.Task[None] | None = None
        self._signals = 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by a signal. uvicorn's own raises it again at the end: status 143, not 0."""
        self._signals += 1
        if self._signals > 1:
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second; True ends the server."""
        if self._signals and self._draining is None:
            logger.info("Asked to end: answering what was accepted")
            self._draining = asyncio.create_task(self._drain_and_exit())
        return await super().on_tick(counter)

    async def _drain_and_exit(self) -> None:
        await self._drain()
        self.should_exit = True
