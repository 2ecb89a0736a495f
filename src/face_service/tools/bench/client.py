"""An HTTP connection that sends prepared requests, with little CPU time."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse

BOUNDARY = "face-service-bench"
BROKEN = 0
"""The status of a request whose connection broke."""
TIMEOUT = 120.0
"""Seconds without a byte sent or received after which a connection counts as broken."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. status: of HTTP, or BROKEN. faces: how many it describes. stages: milliseconds by
    stage, of the header Server-Timing."""

    status: int
    faces: int = 0
    stages: dict[str, float] = field(default_factory=dict)


class Client:
    """One keep-alive connection for prepared requests (`request_of`)."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._socket: socket.socket | None = None

    def send(self, request: bytes) -> Reply:
        """Send a request and read the whole answer. A connection that breaks is a Reply of status
        BROKEN; one that the server has closed since the last request is opened again."""
        reused = self._socket is not None
        try:
            return self._exchange(request)
        except (OSError, HTTPException) as error:
            self.close()
            # A server may have closed a connection that was idle for long: try once on a new one.
            if reused and isinstance(error, (BrokenPipeError, ConnectionResetError)):
                return self.send(request)
            return Reply(BROKEN)

    def _exchange(self, request: bytes) -> Reply:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, TIMEOUT)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        response = HTTPResponse(self._socket)
        response.begin()
        body = response.read()
        if response.will_close:
            self.close()
        # Counted, not parsed: parsing 512 numbers a face costs more than sending the image.
        faces = body.count(b'"bbox"')
        return Reply(response.status, faces, stages_of(response.getheader("Server-Timing", "")))

    def close(self) -> None:
        """End the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def stages_of(header: str) -> dict[str, float]:
    """Milliseconds by stage: `detect;dur=81.20, embed;dur=75.31`."""
    parts = (part.strip().partition(";dur=") for part in header.split(",") if ";dur=" in part)
    return {stage: float(duration) for stage, _, duration in parts}


def request_of(image: bytes, host: str, port: int) -> bytes:
    """POST /detect with the image as the form's field `file`, ready to send."""
    form = (
        (
            f"--{BOUNDARY}\r\n"
            'Content-Disposition: form-data; name="file"; filename="frame.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        ).encode()
        + image
        + f"\r\n--{BOUNDARY}--\r\n".encode()
    )
    head = (
        f"POST /detect HTTP/1.1\r\nHost: {host}:{port}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(form)}\r\n\r\n"
    )
    return head.encode() + form
