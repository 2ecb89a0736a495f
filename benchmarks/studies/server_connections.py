"""Decision 0022: connections that are held for nothing, and how many of them."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

from benchmarks.studies.server_clients import BOUNDS, LIVE, Seen, connected, held, read
from benchmarks.studies.server_subjects import Running, served_by

LONG_S = 90.0
"""The longest a case waits: longer than the keep-alive, which is 65 s, and than all the others."""
LARGE = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"


def until_ended(
    server: Running, connection: socket.socket, step: Callable[[], object], limit: float
) -> Seen:
    """Call `step` once a second until the server lets go of the connection."""
    deadline = time.monotonic() + 30
    while not held(server, connection) and time.monotonic() < deadline:
        time.sleep(0.05)  # it is in the backlog of the port
    started = time.monotonic()
    while held(server, connection):
        if time.monotonic() - started > limit:
            return Seen(False, f"still held after {limit:.0f} s")
        with contextlib.suppress(OSError):
            step()
        time.sleep(1)
    return Seen(True, f"after {time.monotonic() - started:.0f} s")


def silence(server: Running) -> Seen:
    """A connection that says nothing is ended"""
    with connected(server) as connection:
        return until_ended(server, connection, lambda: None, LONG_S)


def headers_drip(server: Running) -> Seen:
    """Headers that drip are ended"""
    with connected(server) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\n")
        return until_ended(server, connection, lambda: connection.sendall(b"x: y\r\n"), LONG_S)


def body_drips(server: Running) -> Seen:
    """A body that drips is ended"""
    with connected(server) as connection:
        connection.sendall(
            b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\n"
            b"content-length: 99999\r\n\r\n"
        )
        return until_ended(server, connection, lambda: connection.sendall(b"x"), LONG_S)


def idle(server: Running) -> Seen:
    """Idle after an answer is ended"""
    with connected(server) as connection:
        connection.sendall(LIVE)
        read(connection)
        return until_ended(server, connection, lambda: None, LONG_S)


def idle_after_early_answer(server: Running) -> Seen:
    """Idle after an early answer and its late body is ended"""
    with connected(server) as connection:
        connection.sendall(
            b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n" + bytes(100000)
        )
        time.sleep(1)
        with contextlib.suppress(OSError):
            connection.sendall(bytes(100000))
        read(connection)
        return until_ended(server, connection, lambda: None, LONG_S)


def reads_nothing(server: Running) -> Seen:
    """A client that reads nothing is ended"""
    with connected(server, 4096) as connection:
        connection.sendall(LARGE * 100)
        return until_ended(server, connection, lambda: None, LONG_S)


def reads_nothing_and_asks(server: Running) -> Seen:
    """... nor if it goes on asking"""
    with connected(server, 4096) as connection:
        connection.sendall(LARGE * 100)
        connection.setblocking(False)
        return until_ended(server, connection, lambda: connection.send(LARGE), LONG_S)


def connections_bounded(name: str) -> Seen:
    """Connections are bounded, and a full server recovers"""
    with served_by(name, **BOUNDS, MAX_CONNECTIONS="40") as server, contextlib.ExitStack() as stack:
        full = [stack.enter_context(connected(server)) for _ in range(60)]
        time.sleep(2)
        count = sum(held(server, connection) for connection in full)
        started = time.monotonic()
        recovered = None
        while recovered is None and time.monotonic() - started < LONG_S:
            with contextlib.suppress(OSError), connected(server) as connection:
                connection.settimeout(1)
                connection.sendall(LIVE)
                if read(connection)[0] == 200:
                    recovered = time.monotonic() - started
            time.sleep(0.5)
    what = f"{count} of 60 held; " + (
        "answers no more" if recovered is None else f"answers after {recovered:.0f} s"
    )
    return Seen(count <= 40 and recovered is not None, what)


SLOW = (
    silence,
    headers_drip,
    body_drips,
    idle,
    idle_after_early_answer,
    reads_nothing,
    reads_nothing_and_asks,
)
