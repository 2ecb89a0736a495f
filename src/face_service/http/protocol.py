"""HTTP/1.1 on one connection: uvicorn's protocol, in which every wait has an end."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from face_service.http.transport import ResponseTransport

logger = logging.getLogger(__name__)

MAX_HEADER_BYTES = 64 * 1024
"""Request line and headers together, as in Node's and Go's servers, give or take; and what comes
behind the last chunk of a body, which is headers as well."""
MAX_DROPPED_BYTES = 1024 * 1024
"""Of what comes behind a request that is not valid HTTP; a client that sends more reads nothing."""
MIN_PROGRESS_BYTES = 32 * 1024
"""Of an answer, within `Timeouts.write`: about 1 kB/s."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a connection may spend in each `State`.

    `write`: until the next MIN_PROGRESS_BYTES of an answer have arrived. `linger`: for the rest
    of a body whose request has its answer (nginx' lingering_time). `headers`: from the first byte
    of a request to the last of its headers, or from the beginning of the connection.
    `last_request`: the same, once the port is closed. `keep_alive`: between requests; longer than
    clients keep an idle connection, who would otherwise meet a closed one.
    """

    write: float = 30.0
    linger: float = 30.0
    headers: float = 10.0
    last_request: float = 0.5
    keep_alive: float = 65.0


class State(Enum):
    """What an open connection waits for. The value is the name of its timeout, if it has one."""

    WRITING = "write"
    """The client has not taken in all that was written."""
    ANSWERING = None
    """The application handles a request, which has a deadline of its own."""
    LINGERING = "linger"
    """The client still sends what nobody wants any more: it is read and dropped, as closing with
    unread data resets the connection and takes the answer along (RFC 9112, 9.6)."""
    HEADERS = "headers"
    LAST_REQUEST = "last_request"
    IDLE = "keep_alive"


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 on a connection that cannot be held for nothing.

    Invariant: after every callback there is one timer, and it is that of the `State` which the
    connection is in. It is started when the state begins, not when data arrives, and aborts the
    connection when it fires. The one state without a timer is ANSWERING, in which the application
    sets the deadline, and a client that leaves is noticed. WRITING comes before every other state,
    and its timer starts anew while the client takes in MIN_PROGRESS_BYTES: whoever reads is not
    cut off, neither is who waits for an answer.

    Beyond that, malformed requests are answered in the one error shape, offers of another
    protocol are ignored (RFC 9110, 7.8), and a connection that ends with an answer stays open for
    `Timeouts.linger` while its client still sends.
    """

    def __init__(
        self,
        *args: Any,
        max_connections: int,
        on_refused: Callable[[], None] = lambda: None,
        timeouts: Timeouts | None = None,
        **kwargs: Any,
    ) -> None:
        """`on_refused` is called for every connection above `max_connections`, which is closed."""
        super().__init__(*args, **kwargs)
        self._max_connections = max_connections
        self._on_refused = on_refused
        self._timeouts = timeouts or Timeouts()
        self._timer: asyncio.TimerHandle | None = None
        self._state: State | None = None
        self._received = 0
        """What the client had received when WRITING began, or its timer started anew."""
        self._unanswered: deque[RequestResponseCycle] = deque()
        """Requests whose headers are there, in order; the first one is being handled."""
        self._in_headers = False
        self._in_body = False
        self._header_bytes = 0
        self._dropped: int | None = None
        """Bytes that were dropped since the client was found not to speak HTTP."""
        self._draining = False

    # The state and its timer

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
        """Have the timer of the current state; called at the end of every callback."""
        state = self._current_state()
        if state is not self._state:
            self._state = state
            self._start_timer()

    def _start_timer(self) -> None:
        self._stop_timer()
        if self._state is State.WRITING:
            self._received = self.transport.received
        if self._state is not None and self._state.value is not None:
            seconds = getattr(self._timeouts, self._state.value)
            self._timer = self.loop.call_later(seconds, self._on_timeout)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        progress = self.transport.received - self._received
        if self._state is State.WRITING and progress >= MIN_PROGRESS_BYTES:
            self._start_timer()
        else:
            self.transport.abort()

    # What the transport and the server call

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # Writing is then paused exactly while something is unsent.
        transport.set_write_buffer_limits(high=0)
        self.transport: Any = ResponseTransport(transport, self._end)
        super().connection_made(cast(asyncio.Transport, self.transport))
        if len(self.connections) > self._max_connections:
            self._on_refused()
            transport.abort()
        self._rearm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
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
            except httptools.HttpParserError:
                self._refuse("400 Bad Request", "The request is not valid HTTP/1.1")
            else:
                if self._header_bytes > MAX_HEADER_BYTES:
                    detail = "The headers are too large"
                    self._refuse("431 Request Header Fields Too Large", detail)
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
        """The port is closed: end after what was accepted, and what is on its way."""
        self._draining = True
        if self._unanswered:
            self._unanswered[-1].keep_alive = False
        elif self._in_body:
            self.transport.closing = True
        elif self.cycle is not None and not self._in_headers:
            self.transport.close()
        self._rearm()

    # What the parser calls

    def _feed(self, data: bytes) -> None:
        """Parse. A request that offers another protocol, whose body httptools would take for
        that protocol, is parsed once more without the offer."""
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                data = self._head_without_offer() + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                names = [option.strip() for option in value.split(b",")]
                value = b", ".join(n for n in names if n.lower() not in OFFERS)
            if name not in OFFERS:
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            raise ValueError("this is no proxy")  # httptools makes it an HttpParserError
        if self.transport.is_closing() or self.parser.should_upgrade():
            return
        super().on_headers_complete()
        self._in_headers, self._in_body, self._header_bytes = False, True, 0
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

    # What the application's answers lead to

    def on_response_complete(self) -> None:
        self._unanswered.popleft()
        if self.transport.is_closing():
            self._unanswered.clear()
        super().on_response_complete()
        self._unset_keepalive_if_required()  # its timer is one of ours
        self._rearm()

    def _end(self) -> None:
        """End the connection with what was written, in place of `transport.close`."""
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
        """Read what comes and drop it, until the client closes: it is told that nothing follows."""
        self._dropped = self._dropped or 0
        self.pipeline.clear()
        if self.transport.closing and self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()

    def _refuse(self, status: str, detail: str) -> None:
        """Answer what is not valid HTTP, unless requests before it are owed their answers, or it
        belongs to one that has its own: then it ends the connection behind those."""
        if self.transport.is_closing():
            self.transport.hang_up()
            return
        self._dropped = 0
        owed = self._unanswered
        if self._in_body and owed and not owed[-1].response_started:
            self._disconnect(owed.pop())
            if self.pipeline:
                self.pipeline.popleft()  # it stands where the newest is
        elif self._in_body and not owed:
            self.transport.close()
            return
        if owed:
            owed[-1].keep_alive = False
            self.flow.resume_reading()
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

    @staticmethod
    def _disconnect(cycle: RequestResponseCycle) -> None:
        """Let the application know that nobody waits for this answer."""
        cycle.disconnected = True
        cycle.message_event.set()


OFFERS = frozenset({b"upgrade", b"http2-settings"})
"""Headers that offer another protocol, and the options of `Connection` that go with them."""
