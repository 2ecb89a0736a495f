"""uvicorn's protocol with bounds: what takes too long against a real process, with short times."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from face_service.server import bounded_protocol
from tests.server import free_port

PAGE = b"x" * 20_000_000
"""More than sockets hold: the server has to wait for its reader."""


async def page(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": PAGE})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where a server shows `page`, and lingers for a moment."""
    monkeypatch.setattr("face_service.server.LINGER_S", 0.3)
    port = free_port()
    config = uvicorn.Config(
        page, http=bounded_protocol(10), port=port, log_config=None, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield port
    server.should_exit = True
    thread.join()


def test_a_body_that_drips_after_a_long_answer_is_not_awaited(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999\r\n\r\n")
        time.sleep(0.1)  # the answer fills every buffer
        received = 0
        while received < len(PAGE):
            received += len(connection.recv(1 << 20))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(100):
                connection.sendall(b"a")
                time.sleep(0.1)
