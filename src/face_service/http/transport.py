"""The transport of a connection, with what its client has received, and whether it has left."""

from __future__ import annotations

import asyncio
import select
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class ResponseTransport:
    """An asyncio transport that counts bytes and delegates closing.

    `close()` calls the given function in place of closing; `hang_up()` closes.
    """

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport = transport
        self.close = close
        self.written = 0
        self.closing = False
        """Nothing more will be written; `is_closing()` is true."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self._transport.write(data)

    def is_closing(self) -> bool:
        return self.closing or self._transport.is_closing()

    def hang_up(self) -> None:
        """Close the connection once everything is written."""
        self._transport.close()

    @property
    def received(self) -> int:
        """Bytes that the client has acknowledged; elsewhere than on Linux, that the kernel took."""
        pending = self._transport.get_write_buffer_size()
        return self.written - pending - unacknowledged(self._transport.get_extra_info("socket"))

    @property
    def left(self) -> bool:
        """Whether the client has ended its side or reset the connection, as `has_left` sees it."""
        return has_left(self._transport.get_extra_info("socket"))


def has_left(sock: Any) -> bool:
    """Whether the other side of a socket has ended or reset the connection.

    An end is seen before the data that came ahead of it are read, but not while the kernel's
    receive buffer is full. Outside Linux only resets are seen, on Windows nothing. False for None
    and for a closed socket.
    """
    if sock is None or not hasattr(select, "poll"):
        return False
    asked = select.poll()
    with suppress(OSError, ValueError):  # it is closed
        asked.register(sock.fileno(), getattr(select, "POLLRDHUP", 0))
        return bool(asked.poll(0))
    return False


def unacknowledged(sock: Any) -> int:
    """Bytes in the kernel's send buffer of a socket, sent or not (Linux: TIOCOUTQ); elsewhere 0."""
    if sys.platform != "linux" or sock is None:
        return 0
    import fcntl
    import termios

    with suppress(OSError, ValueError):  # it is closed
        return int(struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0])
    return 0
