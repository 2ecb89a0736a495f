"""The states of a connection, and the one timer that ends it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum

from face_service.http.transport import ResponseTransport

MIN_PROGRESS_BYTES = 32 * 1024
"""Bytes of a response that a client must receive within `Timeouts.write`: about 1 kB/s."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a connection may spend in each `State`.

    `presence`: interval of asking whether the client is still there while its request is handled.
    `write`: until the client has received another MIN_PROGRESS_BYTES of a response.
    `linger`: for the rest of a body whose request is already answered (nginx' lingering_time).
    `headers`: from the first byte of a request, or from the opening of the connection, to the
    last of its headers. `last_request`: the same, once the port is closed. `keep_alive`: between
    requests; longer than the idle timeouts of clients, so that they close first.
    """

    presence: float = 1.0
    write: float = 30.0
    linger: float = 30.0
    headers: float = 10.0
    last_request: float = 0.5
    keep_alive: float = 65.0


class State(Enum):
    """What an open connection waits for; the value is its field of Timeouts."""

    WRITING = "write"
    """The kernel has not taken all that was written."""
    ANSWERING = "presence"
    """The application handles a request, and sets its deadline."""
    LINGERING = "linger"
    """The rest of a body is read and dropped: closing a connection with unread data resets it,
    and the response may be lost (RFC 9112, 9.6)."""
    HEADERS = "headers"
    LAST_REQUEST = "last_request"
    IDLE = "keep_alive"


class StateTimer:
    """Aborts a connection that stays in one state for longer than its timeout.

    The time counts from the change of state, not from the last data. In WRITING it starts anew
    for every MIN_PROGRESS_BYTES that the client has received: a client that reads is not cut off.
    In ANSWERING it starts anew while the client is there. That it has left is seen in the socket
    (`has_left`): an unread request behind the one that is answered would hide it from `read`.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, transport: ResponseTransport, timeouts: Timeouts
    ) -> None:
        self.state: State | None = None
        self._loop = loop
        self._transport = transport
        self._timeouts = timeouts
        self._handle: asyncio.TimerHandle | None = None
        self._received = 0
        """Bytes that the client had received when the timer of WRITING was started."""

    def enter(self, state: State | None) -> None:
        """Start the timer of `state`, unless the connection is in it already; None: stop."""
        if state is not self.state:
            self.state = state
            self._start()

    def stop(self) -> None:
        """Stop the timer: the connection is closed."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _start(self) -> None:
        self.stop()
        if self.state is State.WRITING:
            self._received = self._transport.received
        if self.state is not None:
            seconds = getattr(self._timeouts, self.state.value)
            self._handle = self._loop.call_later(seconds, self._on_timeout)

    def _on_timeout(self) -> None:
        if self._may_stay():
            self._start()
        else:
            self._transport.abort()

    def _may_stay(self) -> bool:
        if self.state is State.WRITING:
            return self._transport.received - self._received >= MIN_PROGRESS_BYTES
        return self.state is State.ANSWERING and not self._transport.left
