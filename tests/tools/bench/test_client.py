"""The bench's clients against a server that notes what arrives, and hangs up."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from face_service.tools.bench.client import BROKEN, Client, request_of, stages_of
from face_service.tools.bench.load import Plan, run
from face_service.tools.bench.server import free_port


def test_stages_are_read_from_the_header() -> None:
    assert stages_of("decode;dur=1.50, detect;dur=81.2") == {"decode": 1.5, "detect": 81.2}
    assert stages_of("") == stages_of("cache;desc=hit") == {}


class Answering(BaseHTTPRequestHandler):
    """Notes what arrives and answers with two faces, or hangs up as often as it was told."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes]
    connections: set[int]
    hang_ups: int

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.connections.add(self.client_address[1])
        if self.server.hang_ups:
            self.server.hang_ups -= 1
            self.close_connection = True
            return
        body = b'{"faces": [{"bbox": [1]}, {"bbox": [2]}]}'
        self.send_response(200)
        self.send_header("Server-Timing", "detect;dur=2.5")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stub():
    """A server that answers at once."""
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    listening.bodies, listening.connections, listening.hang_ups = [], set(), 0
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield listening
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_clients_keep_their_connections_and_send_every_image_in_turn(stub: Any) -> None:
    load = run(Plan(clients=2, requests=9, seconds=60), *stub.server_address, [b"one", b"two"])
    assert [s.status for s in load.samples] == [200] * 9
    assert all((s.faces, s.stages) == (2, {"detect": 2.5}) for s in load.samples)
    assert len(stub.connections) <= 2
    assert sorted(b"one" in body for body in stub.bodies) == [False] * 4 + [True] * 5
    assert (load.unsent, load.errors) == (0, {})


def test_a_server_that_hangs_up_is_an_error_not_a_crash(stub: Any) -> None:
    stub.hang_ups = 3
    load = run(Plan(clients=1, requests=3, seconds=60), *stub.server_address, [b"one"])
    assert [s.status for s in load.samples] == [BROKEN] * 3
    assert load.errors == {"broken": 3}


def test_a_connection_that_grew_stale_is_opened_again(stub: Any) -> None:
    host, port = stub.server_address
    client, request = Client(host, port), request_of(b"one", host, port)
    assert client.send(request).status == 200
    stub.hang_ups = 1
    assert client.send(request).status == 200
    assert len(stub.bodies) == 3
    assert len(stub.connections) == 2
    client.close()


def test_nothing_listens(tmp_path: Path) -> None:
    load = run(Plan(1, 2, 60), "127.0.0.1", free_port(), [b"one"])
    assert load.errors == {"broken": 2}
