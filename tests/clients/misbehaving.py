"""A server that answers as a script says, not as it should: errors, resets, silence.

`http://127.0.0.1:PORT/<script>/<any word>` is the base URL of a service that goes through the
steps of `SCRIPTS[script]`, one a request, and stays at the last one. `GET …/seen` tells what was
received under that URL, as JSON.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np

EMBEDDING = (np.arange(512, dtype="<f4") + 1) / np.linalg.norm(np.arange(512, dtype="<f4") + 1)
DETECTION = {
    "faces": [
        {
            "bbox": [1.5, 2.0, 30.25, 40.0],
            "embedding": base64.b64encode(EMBEDDING.tobytes()).decode(),
            "det_score": 0.75,
            "age": 30,
            "gender": "F",
            "landmarks": [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]],
            "error": None,
            "a_field_of_next_year": 1,
        }
    ],
    "processing_time_ms": 1.5,
    "faces_omitted": 3,
    "image_width": 640,
    "image_height": 480,
    "model": {"pack": "scripted", "recogniser": "00", "precision": "fp32"},
    "request_id": "scripted",
}


@dataclass
class Seen:
    """A request as it came in; `received` grows while its body comes."""

    method: str
    path: str
    headers: dict[str, str]
    at: float
    received: int = 0
    sha256: str = ""
    left: bool = False
    """Whether the client hung up on a server that kept it waiting."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    state: ClassVar[dict[str, list[Seen]]]

    def handle_any(self) -> None:
        script, _, rest = self.path.lstrip("/").partition("/")
        key = f"{script}/{rest.partition('/')[0]}"
        if self.path.endswith("/seen"):
            answer(self, 200, [asdict(seen) for seen in self.state[key]])
            return
        seen = Seen(self.command, self.path, dict(self.headers.items()), time.monotonic())
        self.state[key].append(seen)
        steps = SCRIPTS[script]
        steps[min(len(self.state[key]), len(steps)) - 1](self, seen)

    do_GET = do_POST = handle_any  # noqa: N815

    def read_body(self, seen: Seen) -> None:
        """The whole body, by its length or in chunks."""
        digest = hashlib.sha256()
        for piece in self._pieces():
            seen.received += len(piece)
            digest.update(piece)
        seen.sha256 = digest.hexdigest()

    def _pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        left = int(self.headers.get("Content-Length", 0))
        while left and (piece := self.rfile.read1(min(left, 65536))):
            left -= len(piece)
            yield piece

    def reset(self) -> None:
        """End the connection with a reset, as a killed process does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


Step = Callable[[Handler, Seen], None]


def answer(handler: Handler, status: int, content: object, **headers: str) -> None:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    handler.send_response(status)
    for name, value in ({"Content-Type": "application/json"} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def well(handler: Handler, seen: Seen) -> None:
    handler.read_body(seen)
    answer(handler, 200, DETECTION, Server_Timing="decode;dur=1.25, detect;dur=2.50")


def error(status: int, code: str, **headers: str) -> Step:
    def step(handler: Handler, seen: Seen) -> None:
        handler.read_body(seen)
        request_id = handler.headers.get("X-Request-ID", "")
        content = {"detail": f"Scripted {status}", "code": code, "request_id": request_id}
        answer(handler, status, content, **headers)

    return step


def page(status: int) -> Step:
    """A proxy's page."""

    def step(handler: Handler, seen: Seen) -> None:
        handler.read_body(seen)
        answer(handler, status, b"<html>nginx</html>", Content_Type="text/html")

    return step


def busy_until_a_date(handler: Handler, seen: Seen) -> None:
    """429 until three seconds after a clock that goes an hour wrong."""
    clock = time.time() - 3600
    handler.date_time_string = lambda _=None: formatdate(clock, usegmt=True)  # type: ignore[method-assign]
    until = formatdate(clock + 3, usegmt=True)
    error(429, "overloaded", Retry_After=until)(handler, seen)
    del handler.date_time_string


def reset_while_reading(handler: Handler, seen: Seen) -> None:
    seen.received += len(handler.rfile.read1(1024))
    handler.reset()


def reset_while_answering(handler: Handler, seen: Seen) -> None:
    handler.read_body(seen)
    half_an_answer(handler)
    handler.reset()


def hang_up_while_answering(handler: Handler, seen: Seen) -> None:
    handler.read_body(seen)
    half_an_answer(handler)
    handler.close_connection = True


def half_an_answer(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"faces": [')


def silence(handler: Handler, seen: Seen) -> None:
    handler.read_body(seen)
    wait_until_left(handler, seen)


def drip(handler: Handler, seen: Seen) -> None:
    """An answer that always goes on and never ends."""
    handler.read_body(seen)
    half_an_answer(handler)
    with contextlib.suppress(OSError):
        for _ in range(900):
            handler.wfile.write(b" ")
            time.sleep(0.02)
    seen.left = handler.close_connection = True


def wait_until_left(handler: Handler, seen: Seen) -> None:
    with contextlib.suppress(OSError):
        handler.connection.recv(1)
    seen.left = handler.close_connection = True


SCRIPTS: Mapping[str, list[Step]] = {
    "well": [well],
    "busy": [error(429, "overloaded", Retry_After="1"), well],
    "busy-again-and-again": [
        error(429, "overloaded", Retry_After="1"),
        error(503, "not_ready", Retry_After="1"),
        error(504, "deadline_passed"),
        error(429, "overloaded", Retry_After="1"),
        reset_while_reading,
        error(429, "overloaded", Retry_After="1"),
        well,
    ],
    "busy-until-a-date": [busy_until_a_date, well],
    "busy-for-an-hour": [error(429, "overloaded", Retry_After="3600"), well],
    "always-busy": [error(429, "overloaded")],
    "not-ready-then-well": [error(503, "not_ready"), well],
    "each-once": [
        error(500, "inference_failed"),
        error(503, "not_ready"),
        error(504, "deadline_passed"),
        page(502),
        well,
    ],
    "reset-while-reading": [reset_while_reading, well],
    "reset-while-answering": [reset_while_answering, well],
    "hang-up-while-answering": [hang_up_while_answering, well],
    "silence-then-well": [silence, well],
    "silence": [silence],
    "drip": [drip],
    "no-image": [error(400, "invalid_image"), well],
    "bad-request": [error(400, "invalid_request"), well],
    "no-key": [error(401, "unauthorized"), well],
    "too-large": [error(413, "too_large"), well],
    "not-found": [error(404, "not_found"), well],
    "failing": [error(500, "inference_failed")],
    "not-ready": [error(503, "not_ready")],
    "late": [error(504, "deadline_passed")],
    "proxy-without-backend": [page(502)],
    "somebody-else": [page(200)],
    "somebody-elses-404": [page(404)],
}


@dataclass
class Misbehaving:
    """The running server."""

    port: int
    state: dict[str, list[Seen]]
    words: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def script(self, name: str) -> tuple[str, list[Seen]]:
        """A base URL at which `name` begins anew, and the requests that it will have seen."""
        key = f"{name}/{next(self.words)}"
        return f"{self.url}/{key}", self.state[key]


@contextlib.contextmanager
def serve() -> Iterator[Misbehaving]:
    """The server, on a free port."""
    state: dict[str, list[Seen]] = defaultdict(list)
    handler = type("Scripted", (Handler,), {"state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Misbehaving(server.server_port, state)
        server.shutdown()
        thread.join()
