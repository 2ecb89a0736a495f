"""Uploads that are slow, or promise much: they keep nobody out who is ready."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

import pytest

from tests.hostile.sockets import receive
from tests.server import Server
from tests.wire import metric, settled

from .test_connections import connect, post


def drip(
    server: Server, how_many: int, length: int, body: bytes = b"\xff\xd8"
) -> list[socket.socket]:
    """Uploads that begin, and go on in their own time."""
    connections = [connect(server) for _ in range(how_many)]
    for connection in connections:
        connection.sendall(post(body, length))
    settled(lambda: metric(server, "face_service_requests_inside") == how_many)
    return connections


def test_slow_uploads_give_way_to_whoever_is_ready(
    start_small_server: Callable[..., Server], small: bytes
) -> None:
    server = start_small_server(MAX_QUEUE="64")
    server.wait_until_ready()
    dripping = drip(server, 64, 99_999)
    time.sleep(2.5)  # from here on they are slow
    for connection in dripping:
        connection.sendall(b"a")
    for _ in range(3):
        response = server.client.post(
            "/detect", content=small, headers={"content-type": "image/jpeg"}
        )
        assert response.status_code == 200, response.text
    evicted = 0
    for connection in dripping:
        connection.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            answer = receive(connection)
            assert (answer.status, answer.json["code"]) == (429, "overloaded")
            assert int(answer.headers["retry-after"]) >= 1
            evicted += 1
    assert 1 <= evicted <= 3, "no more than were in the way"
    for connection in dripping:
        connection.close()
    settled(lambda: metric(server, "face_service_requests_inside") == 0)
    assert metric(server, "face_service_body_bytes") == 0
    assert server.stop() == 0


def test_uploads_that_begin_anew_before_they_are_slow_keep_nobody_out(
    start_small_server: Callable[..., Server], small: bytes
) -> None:
    """As clients that send nothing and reopen their connection every 1.9 s."""
    server = start_small_server(MAX_QUEUE="64")
    server.wait_until_ready()
    for _ in range(2):
        silent = drip(server, 64, 99_999, b"")
        for _ in range(3):
            response = server.client.post(
                "/detect", content=small, headers={"content-type": "image/jpeg"}
            )
            assert response.status_code == 200, response.text
        for connection in silent:
            connection.close()
        settled(lambda: metric(server, "face_service_requests_inside") == 0)
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("header", "beginning"),
    [
        (b"content-length: 5000000", bytes(1_000_000)),
        (b"transfer-encoding: chunked", b"%x\r\n%b\r\n" % (1_000_000, bytes(1_000_000))),
    ],
    ids=["length", "chunked"],
)
def test_bodies_have_a_budget_that_is_asked_before_they_are_read(
    start_small_server: Callable[..., Server], small: bytes, header: bytes, beginning: bytes
) -> None:
    """Of uploads that are not slow nobody takes what they hold."""
    server = start_small_server(MAX_BODY_MB="5", MAX_BODIES_MB="10")
    server.wait_until_ready()
    head = (
        b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\n" + header + b"\r\n\r\n"
    )
    with connect(server) as first, connect(server) as second, connect(server) as third:
        for number, holder in enumerate((first, second), 1):
            holder.sendall(head + beginning)
            settled(lambda: metric(server, "face_service_body_bytes") == number * 5e6)  # noqa: B023
        third.sendall(head)
        answer = receive(third)
        assert (answer.status, answer.json["code"]) == (429, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
    settled(lambda: metric(server, "face_service_body_bytes") == 0)
    response = server.client.post("/detect", content=small, headers={"content-type": "image/jpeg"})
    assert response.status_code == 200
    assert server.stop() == 0


def test_a_slow_upload_is_served_where_there_is_room(
    start_small_server: Callable[..., Server], small: bytes
) -> None:
    server = start_small_server()
    server.wait_until_ready()
    (connection,) = drip(server, 1, len(small), small[:10])
    time.sleep(2.5)
    connection.sendall(small[10:])
    assert connection.recv(20).startswith(b"HTTP/1.1 200")
    connection.close()
