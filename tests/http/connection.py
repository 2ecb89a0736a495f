"""One connection without sockets or waiting: a client, a transport, a clock that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from face_service.http.connection_state import Timeouts
from face_service.http.protocol import BoundedProtocol

KERNEL = 100_000
"""Bytes that the system's buffers take before a transport has to keep the rest."""
TIMES = Timeouts()
LONGEST = max(TIMES.keep_alive, TIMES.linger, TIMES.write)
LARGE = 3 * KERNEL
OFFER = b"connection: upgrade, http2-settings\r\nhttp2-settings: AA\r\nupgrade: h2c\r\n"
POST = b"POST /detect HTTP/1.1\r\nhost: x\r\n"
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
CLOSE = (b"connection", b"close")
WHOLE = {
    "get": GET,
    "two gets": GET + GET,
    "http/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "post": POST + b"content-length: 10\r\n\r\n" + b"a" * 10,
    "two posts": (POST + b"content-length: 10\r\n\r\n" + b"a" * 10) * 2,
    "large post": POST + b"content-length: 200000\r\n\r\n" + b"a" * 200_000,
    "chunked": POST + b"transfer-encoding: chunked\r\n\r\n5\r\naaaaa\r\n0\r\n\r\n",
    "offer": b"GET / HTTP/1.1\r\nhost: x\r\n" + OFFER + b"\r\n",
    "offer with a body": POST + OFFER + b"content-length: 10\r\n\r\n" + b"a" * 10,
}
PARTS = {
    "headers": (b"GET / HTTP/1.1\r\nhost", b": x\r\n\r\n"),
    "post": (POST + b"content-length: 10\r\n\r\naaaaa", b"aaaaa"),
    "large post": (POST + b"content-length: 100000\r\n\r\n" + b"a" * 70_000, b"a" * 30_000),
    "expects": (POST + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\n", b"aaaaa"),
    "chunked": (POST + b"transfer-encoding: chunked\r\n\r\n5\r\naaaaa\r\n", b"0\r\n\r\n"),
    "offer": (POST + OFFER + b"content-length: 10\r\n\r\naaaaa", b"aaaaa"),
    "line end": (b"\r", b"\n"),
}
ODD = {
    "connect": b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n",
    "no path": b"GET http://x HTTP/1.1\r\nhost: x\r\n\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01",
    "flood": b"x" * 70_000,
}


class ClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still until `advance`."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def settle(self) -> None:
        """Run what is ready, and what that makes ready."""
        for _ in range(10):
            self.call_soon(self.stop)
            self.run_forever()

    def advance(self, seconds: float) -> None:
        """Let time pass; every timer fires at its own moment."""
        end = self.now + seconds
        while due := [when for when in self.timers() if when <= end]:
            self.now = max(self.now, min(due))
            self.settle()
        self.now = end
        self.settle()

    def timers(self) -> list[float]:
        """When the armed timers fire."""
        return [handle.when() for handle in self._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]


class FakeTransport(asyncio.Transport):
    """A transport whose other end is the `Connection`."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection
        self.loop, self.high = connection.loop, 65536
        self.unsent = bytearray()
        self.reading, self.closing, self.lost, self.eof = True, False, False, False
        self.paused_protocol = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = 65536 if high is None else high

    def get_write_buffer_size(self) -> int:
        return len(self.unsent)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        assert not self.eof, "written after the end"
        if not self.lost:
            self.unsent += data
            self.flush()
            if len(self.unsent) > self.high and not self.paused_protocol:
                self.paused_protocol = True
                self.connection.protocol.pause_writing()

    def flush(self) -> None:
        """Hand on to the system what fits there."""
        fits = KERNEL - len(self.connection.kernel)
        self.connection.kernel += self.unsent[:fits]
        del self.unsent[:fits]
        if self.paused_protocol and not self.unsent:
            self.paused_protocol = False
            self.connection.protocol.resume_writing()
        if self.closing and not self.unsent:
            self._lose(None)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True
        self.loop.call_soon(self.connection.deliver)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing, self.reading = True, False
        if not self.unsent:
            self._lose(None)

    def abort(self) -> None:
        if not self.lost:
            self.connection.aborted(self.loop.now)
        self.closing = True
        self.unsent.clear()
        self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        if not self.lost:
            self.lost = self.closing = True
            self.reading = False
            self.loop.call_soon(self._tell_lost, error)

    def _tell_lost(self, error: Exception | None) -> None:
        self.connection.lost = True
        self.connection.protocol.connection_lost(error)


class Request:
    """A request that the application handles; the test answers it when it likes."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self.orders: asyncio.Queue[Any] = asyncio.Queue()
        self.body = b""
        self.disconnected = False
        self.started = self.answered = False

    async def run(self) -> None:
        watch = asyncio.create_task(self._read())
        try:
            while not self.answered and (message := await self.orders.get()):
                await self.send(message)
                self.started = True
                self.answered = not message.get("more_body", True)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def _read(self) -> None:
        while not self.disconnected:
            message = await self.receive()
            self.body += message.get("body", b"")
            self.disconnected = message["type"] == "http.disconnect"
        self.orders.put_nowait(None)


class Connection:
    """A client's side of one connection to a BoundedProtocol, and its application's."""

    def __init__(self, loop: ClockLoop, protocol: Callable[..., BoundedProtocol]) -> None:
        self.loop = loop
        self.kernel = bytearray()
        """Sent by the server, not read by the client."""
        self.received = b""
        self.requests: list[Request] = []
        self.lost = False
        self.on_abort: Callable[[], None] = lambda: None
        self._pending: list[bytes | None] = []
        """Sent by the client, not read by the server; None is the end."""
        config = uvicorn.Config(
            self._app, interface="asgi3", lifespan="off", log_config=None, proxy_headers=False
        )
        self.state = ServerState()
        self.protocol = protocol(config=config, server_state=self.state, app_state={}, _loop=loop)
        self.transport = FakeTransport(self)
        self.loop.call_soon(self.protocol.connection_made, self.transport)
        self.loop.settle()

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests.append(Request(scope, receive, send))
        await self.requests[-1].run()

    def aborted(self, when: float) -> None:
        """The server gave up the connection."""
        self.on_abort()

    @property
    def open(self) -> bool:
        """Whether the server still holds the connection."""
        return not self.transport.lost

    @property
    def unanswered(self) -> list[Request]:
        return [request for request in self.requests if not request.answered]

    def send(self, data: bytes) -> None:
        self._pending.append(data)
        self.deliver()
        self.loop.settle()

    def end(self) -> None:
        """Close the client's side."""
        self._pending.append(None)
        self.deliver()
        self.loop.settle()

    def reset(self) -> None:
        """Be gone without a word."""
        self.transport.unsent.clear()
        self.transport._lose(ConnectionResetError())
        self.loop.settle()

    def deliver(self) -> None:
        """Give the server what it is willing to read."""
        while self._pending and self.transport.reading:
            data = self._pending.pop(0)
            if data is not None:
                self.protocol.data_received(data)
            elif not self.protocol.eof_received():
                self.transport.close()

    def read(self, size: int) -> int:
        """Take in what the server has sent."""
        taken = bytes(self.kernel[:size])
        self.received += taken
        del self.kernel[:size]
        if not self.transport.lost:
            self.transport.flush()
        self.loop.settle()
        return len(taken)

    def answer(self, request: Request, size: int = 10, *headers: tuple[bytes, bytes]) -> None:
        """Answer a request with `size` bytes."""
        length = (b"content-length", b"%d" % size)
        for message in (
            {"type": "http.response.start", "status": 200, "headers": [length, *headers]},
            {"type": "http.response.body", "body": b"a" * size, "more_body": False},
        ):
            request.orders.put_nowait(message)
        self.loop.settle()
