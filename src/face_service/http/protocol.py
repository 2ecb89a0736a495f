"""HTTP/1.1 on one connection: uvicorn's protocol, with a timeout in every state."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from face_service.errors import HttpError
from face_service.http.answer import Answer
from face_service.http.connection_state import State, StateTimer, Timeouts
from face_service.http.errors import raw_error_response
from face_service.http.host import check_host
from face_service.http.responses import UNSENT
from face_service.http.transport import ResponseTransport
from face_service.http.upgrade import head_without_offer
from face_service.serving.admission import Transfer

logger = logging.getLogger(__name__)

MAX_HEADER_BYTES = 64 * 1024
"""Most bytes of request line and headers together, and of the trailers of a chunked body. Node
allows 16 kB, Go 1 MB by default."""
MAX_PIPELINED = 16
"""Most requests of one connection that have no response yet: each takes 2 kB, and time to parse."""
MAX_DROPPED_BYTES = 1024 * 1024
"""Most bytes that are read and dropped after the last response; then the connection is aborted."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 on a connection with a timeout in every state.

    Invariant: after every callback the running timer is that of the `State` that the connection
    is in, and the answer held is what its client has yet to take in. WRITING takes precedence over
    every other state. In ANSWERING the application sets the deadline, and a disconnect is noticed.

    Beyond that, malformed requests are answered in JSON as every other error, offers of another
    protocol are ignored (RFC 9110, 7.8), and a connection that ends with a response stays open for
    `Timeouts.linger` while its client still sends.
    """

    def __init__(
        self,
        *args: Any,
        max_connections: int,
        on_refused: Callable[[], None] = lambda: None,
        hold_answer: Callable[[Transfer, int], None] = lambda answer, size: None,
        timeouts: Timeouts | None = None,
        **kwargs: Any,
    ) -> None:
        """Connections above `max_connections` are aborted, after a call of `on_refused`.

        `hold_answer` is called with an answer and the bytes of it that are in memory, whenever they
        change while the client has yet to take in something: Admission.hold_answer.
        """
        super().__init__(*args, **kwargs)
        self._max_connections = max_connections
        self._on_refused = on_refused
        self._hold_answer = hold_answer
        self._answer: Answer | None = None
        self._timeouts = timeouts or Timeouts()
        self._timer: StateTimer
        self._unanswered: deque[RequestResponseCycle] = deque()
        """Requests whose headers have arrived, in order; the first one is being handled."""
        self._in_headers = False
        self._in_body = False
        self._header_bytes = 0
        """Bytes received since the last that were no header."""
        self._field_bytes = 0
        """Bytes parsed of the request line and headers of this request, or of its trailers."""
        self._dropped: int | None = None
        """Bytes dropped since input was no longer parsed; None: it is parsed."""
        self._draining = False

    def _current_state(self) -> State | None:
        if self.flow.write_paused:
            return State.WRITING
        if self._unanswered:
            return State.ANSWERING
        if self._in_body or self._dropped is not None:
            return State.LINGERING
        if self.transport.is_closing():
            return None  # everything is written: connection_lost is on its way
        if self._in_headers or self.cycle is None:
            return State.LAST_REQUEST if self._draining else State.HEADERS
        return State.IDLE

    def _rearm(self) -> None:
        """Start the timer of the current state, and hold what is unsent; called at the end of
        every callback."""
        self._timer.enter(self._current_state())
        unsent = self._unsent()
        if unsent and self._answer is None:
            self._answer = Answer(self.transport)
        if self._answer is not None:
            self._hold_answer(self._answer, unsent)
            if not unsent:
                self._answer = None

    def _unsent(self) -> int:
        """Bytes of answers in memory, once the kernel does not take them all; 0 before. What was
        written in one piece is freed once all of it is sent."""
        if self._answer is None and not self.flow.write_paused:
            return 0
        unsent: int = self.transport.get_write_buffer_size()
        if self._unanswered:
            unsent += self._unanswered[0].scope["state"].get(UNSENT, 0)
        return unsent

    # Callbacks of the transport and of the server

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # With 0, writing is paused exactly while something is unsent.
        transport.set_write_buffer_limits(high=0)
        self.transport: Any = ResponseTransport(transport, self._end)
        self._timer = StateTimer(self.loop, self.transport, self._timeouts)
        super().connection_made(cast(asyncio.Transport, self.transport))
        if len(self.connections) > self._max_connections:
            self._on_refused()
            transport.abort()
        self._rearm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.stop()
        if self._answer is not None:
            self._hold_answer(self._answer, 0)
        self.transport.closing = True
        for cycle in self._unanswered:
            self._disconnect(cycle)
        self._unanswered.clear()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._dropped is None:
            self._header_bytes += len(data)
            try:
                self._feed(data)
            except httptools.HttpParserError as error:
                reason = error.__context__  # what a callback has raised
                invalid = HttpError(400, "The request is not valid HTTP/1.1")
                self._refuse(reason if isinstance(reason, HttpError) else invalid)
            else:
                if self._header_bytes > MAX_HEADER_BYTES:
                    self._refuse(too_large())
        else:
            self._dropped += len(data)
            if self._dropped > MAX_DROPPED_BYTES:
                self.transport.abort()
        self._rearm()

    def eof_received(self) -> None:
        super().eof_received()
        self._rearm()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._rearm()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._rearm()

    def shutdown(self) -> None:
        """The port is closed: close after the requests that were accepted or are on their way."""
        self._draining = True
        if self._unanswered:
            self._unanswered[-1].keep_alive = False
        elif self._in_body:
            self.transport.closing = True
        elif self.cycle is not None and not self._in_headers:
            self.transport.close()
        self._rearm()

    # Callbacks of the parser

    def _feed(self, data: bytes) -> None:
        """Parse. A request that offers another protocol is parsed once more without the offer:
        httptools would take its body for data of that protocol."""
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                rest = data[offer.args[0] :]
                data = head_without_offer(self.parser, self.url, self.headers)
                data += rest
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True
        self._field_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._count_fields(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_fields(len(name) + len(value) + len(b": \r\n"))
        if self._in_headers:  # a trailer may not add to the headers (RFC 9110, 6.5.1)
            super().on_header(name, value)

    def _count_fields(self, size: int) -> None:
        """Headers that arrive all at once have a bound too."""
        self._field_bytes += size
        if self._field_bytes > MAX_HEADER_BYTES:
            raise too_large()

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            raise HttpError(400, "This is no proxy")  # httptools makes it an HttpParserError
        if self.transport.is_closing() or self.parser.should_upgrade():
            return
        if len(self._unanswered) >= MAX_PIPELINED:
            raise HttpError(400, "Too many requests without waiting for an answer")
        check_host(self.parser.get_http_version(), self.headers)
        super().on_headers_complete()
        self._in_headers, self._in_body = False, True
        self._header_bytes = self._field_bytes = 0
        self._unanswered.append(self.cycle)
        if self._draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._header_bytes = 0
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._in_body, self._header_bytes = False, 0
        if self.transport.is_closing():
            self.transport.hang_up()
        else:
            super().on_message_complete()

    # Responses, and the end of the connection

    def on_response_complete(self) -> None:
        self._unanswered.popleft()
        if self.transport.is_closing():
            self._unanswered.clear()
        super().on_response_complete()
        self._unset_keepalive_if_required()  # uvicorn's timer: StateTimer replaces it
        self._rearm()

    def _end(self) -> None:
        """Close the connection once everything is written, in place of `transport.close`."""
        if self.transport.closing:
            return
        self.transport.closing = True
        if self._unanswered and not self._unanswered[0].response_complete:
            self._unanswered.clear()  # the application gave up in the middle of an answer
            self.transport.hang_up()
        elif self._in_body and self._dropped is None and not self.pipeline:
            self.flow.resume_reading()
        elif self._dropped is not None or self.pipeline or self.flow.read_paused:
            self._drop_input()
        else:
            self.transport.hang_up()
        self._rearm()

    def _drop_input(self) -> None:
        """Send FIN, then read and drop input until the client closes the connection."""
        self._dropped = self._dropped or 0
        self.pipeline.clear()
        if self.transport.closing and self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()

    def _refuse(self, error: HttpError) -> None:
        """Answer input that is not valid HTTP with `error`, and end the connection. It gets no
        answer of its own where earlier requests still wait for theirs, which they get, or where the
        request that it belongs to has been answered."""
        if self.transport.is_closing():
            self.transport.hang_up()
            return
        self._dropped = 0
        owed = self._unanswered
        if self._in_body and owed and not owed[-1].response_started:
            self._disconnect(owed.pop())
            if self.pipeline:
                self.pipeline.popleft()  # uvicorn has the newest on the left
        elif self._in_body and not owed:
            self.transport.close()
            return
        if owed:
            owed[-1].keep_alive = False
            self.flow.resume_reading()
            return
        request_id = uuid.uuid4().hex
        fields = {"status": error.status, "code": error.code, "request_id": request_id}
        logger.info("Refused", extra={"fields": fields, "kind": {"code": error.code}})
        self.transport.write(raw_error_response(error, request_id))
        self.transport.close()

    @staticmethod
    def _disconnect(cycle: RequestResponseCycle) -> None:
        """Tell the application that the client of this request has disconnected."""
        cycle.disconnected = True
        cycle.message_event.set()


def too_large() -> HttpError:
    """The error for headers above MAX_HEADER_BYTES."""
    return HttpError(431, "The headers are too large")
