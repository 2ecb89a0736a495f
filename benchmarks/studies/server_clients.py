"""Clients of the servers in `server_faults.py`: connections, requests as bytes, answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.studies.server_subjects import Running
from face_service.tools.bench.server import LOOPBACK

BOUNDS = {"MAX_BODY_MB": "1", "REQUEST_TIMEOUT_S": "10", "DRAIN_GRACE_S": "2", "LOG_FORMAT": "json"}
LIVE = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
SHAPE = {"detail", "code", "request_id"}


class Seen(NamedTuple):
    """What came of a case."""

    good: bool
    what: str


@contextmanager
def connected(server: Running, receive_buffer: int = 0) -> Iterator[socket.socket]:
    """A connection; a receive buffer of so many bytes, 0 for the system's."""
    with socket.socket() as connection:
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(20)
        connection.connect((LOOPBACK, server.address.port))
        yield connection


def held(server: Running, connection: socket.socket) -> bool:
    """Whether the server's process has this connection still."""
    here, there = connection.getsockname()[1], server.address.port
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, *others = line.split()
        if local.endswith(f":{there:04X}") and remote.endswith(f":{here:04X}"):
            return others[5] != "0"
    return False


def read(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One answer: status, headers, body. Status 0 for none."""
    try:
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, {}, b""


def ask(server: Running, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes on a connection of their own, read one answer."""
    with connected(server) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(request)
        return read(connection)


def in_shape(body: bytes) -> bool:
    """Whether it is our one error shape."""
    try:
        found = json.loads(body)
    except ValueError:
        return False
    return isinstance(found, dict) and set(found) == SHAPE
