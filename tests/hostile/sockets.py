"""HTTP by hand: what no client library would send."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

from tests.server import Server


@dataclass(frozen=True)
class Answer:
    """One answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        return json.loads(self.body)


def talk(server: Server, *pieces: bytes, pause: float = 0, end: bool = True) -> bytes:
    """Send pieces on a connection of their own; what comes back until it is closed or reset.

    `end`: close the sending side behind the last piece.
    """
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=25) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            if end:
                connection.shutdown(socket.SHUT_WR)
        except (ConnectionResetError, BrokenPipeError):
            pass
        try:
            while data := connection.recv(65536):
                received += data
        except ConnectionResetError:
            pass
        return received


def receive(connection: socket.socket) -> Answer:
    """The next answer on a connection that stays open."""
    received = b""
    while True:
        data = connection.recv(65536)
        assert data, received
        received += data
        head, end, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if end and length and len(body) >= int(length[1]):
            (answer,) = answers(received)
            return answer


def answers(received: bytes, heads: Iterable[int] = ()) -> list[Answer]:
    """The answers in what was received; those at the places in `heads` have no body."""
    found = []
    while received:
        head, separator, received = received.partition(b"\r\n\r\n")
        assert separator, head[:200]
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        assert first.startswith("HTTP/1.1 "), first
        length = 0 if len(found) in heads else int(headers["content-length"])
        found.append(Answer(int(first.split()[1]), headers, received[:length]))
        received = received[length:]
    return found
