"""The protocol of a connection, without sockets: one thing that can happen at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from uvicorn.protocols.http import httptools_impl

from face_service.http.connection_state import MIN_PROGRESS_BYTES, State
from face_service.http.protocol import (
    MAX_HEADER_BYTES,
    MAX_PIPELINED,
    BoundedProtocol,
)
from face_service.http.responses import UNSENT
from face_service.serving.admission import Admission, Transfer
from tests.http.connection import (
    GET,
    KERNEL,
    LARGE,
    ODD,
    PARTS,
    POST,
    TIMES,
    WHOLE,
    ClockLoop,
    Connection,
    Request,
)


@pytest.fixture
def loop() -> Iterator[ClockLoop]:
    made = ClockLoop()
    yield made
    made.close()


@pytest.fixture
def connect(loop: ClockLoop) -> Callable[..., Connection]:
    return partial(Connection, loop, partial(BoundedProtocol, max_connections=10))


def only(connection: Connection) -> Request:
    (request,) = connection.requests
    return request


def test_a_silent_connection_ends_after_the_time_for_headers(
    connect: Callable[..., Connection], loop: ClockLoop
) -> None:
    connection = connect()
    loop.advance(TIMES.headers - 1)
    assert connection.open
    loop.advance(2)
    assert not connection.open


def test_an_idle_connection_ends_after_keep_alive(
    connect: Callable[..., Connection], loop: ClockLoop
) -> None:
    connection = connect()
    connection.send(GET)
    connection.answer(only(connection))
    loop.advance(TIMES.keep_alive - 1)
    assert connection.open
    loop.advance(2)
    assert not connection.open


def test_a_body_that_ends_after_an_early_answer_leaves_an_idle_connection_not_an_eternal_one(
    connect: Callable[..., Connection], loop: ClockLoop
) -> None:
    connection = connect()
    connection.send(PARTS["post"][0])
    connection.answer(only(connection))
    connection.send(PARTS["post"][1])
    assert connection.protocol._timer.state is State.IDLE
    loop.advance(TIMES.keep_alive + 1)
    assert not connection.open


def test_the_next_request_does_not_end_the_wait_for_a_reader(
    connect: Callable[..., Connection], loop: ClockLoop
) -> None:
    connection = connect()
    connection.send(GET)
    connection.answer(only(connection), LARGE)
    loop.advance(TIMES.write / 2)
    connection.send(GET)
    connection.send(b"GET / HT")
    loop.advance(TIMES.write / 2 + 1)
    assert not connection.open


def test_who_reads_slowly_but_steadily_gets_everything(
    connect: Callable[..., Connection], loop: ClockLoop
) -> None:
    connection = connect()
    connection.send(GET)
    size = 20 * KERNEL
    connection.answer(only(connection), size)
    while connection.read(MIN_PROGRESS_BYTES):  # 1.3 kB/s
        loop.advance(25)
    _, _, body = connection.received.partition(b"\r\n\r\n")
    assert body == b"a" * size


def test_a_line_end_behind_a_body_does_not_hurry_its_answer(
    connect: Callable[..., Connection], loop: ClockLoop
) -> None:
    for piece in (b"\r\n", PARTS["headers"][0]):
        connection = connect()
        connection.send(WHOLE["post"])
        connection.send(piece)
        loop.advance(25)
        connection.answer(only(connection))
        connection.read(1000)
        assert connection.received.startswith(b"HTTP/1.1 200")


def test_every_unanswered_request_learns_that_its_client_left(
    connect: Callable[..., Connection],
) -> None:
    for leave in (Connection.end, Connection.reset):
        connection = connect()
        connection.send(WHOLE["post"] * 2)
        leave(connection)
        assert only(connection).disconnected
        assert not connection.state.tasks or not connection.open


def test_requests_without_answers_are_bounded(connect: Callable[..., Connection]) -> None:
    """Those before the bound are answered; then the connection ends."""
    connection = connect()
    connection.send(GET * (MAX_PIPELINED + 5))
    assert len(connection.protocol._unanswered) == MAX_PIPELINED
    for n in range(MAX_PIPELINED):
        connection.answer(connection.requests[n])
        connection.read(10_000)
    assert connection.received.count(b"HTTP/1.1 200") == MAX_PIPELINED
    assert connection.received.count(b"connection: close") == 1
    assert connection.received.endswith(b"connection: close\r\n\r\n" + b"a" * 10)


def test_of_an_answer_what_is_in_memory_is_held(loop: ClockLoop) -> None:
    """What the application has yet to send included."""
    held: list[tuple[Transfer, int]] = []
    protocol = partial(
        BoundedProtocol, max_connections=10, hold_answer=lambda *change: held.append(change)
    )
    connection = Connection(loop, protocol)
    length = (b"content-length", b"%d" % (2 * LARGE))
    for _ in range(2):
        connection.send(GET)
        request = connection.requests[-1]
        start = {"type": "http.response.start", "status": 200, "headers": [length]}
        request.orders.put_nowait(start)
        for rest in (LARGE, 0):
            request.scope["state"][UNSENT] = rest
            body = {"type": "http.response.body", "body": b"a" * LARGE, "more_body": rest > 0}
            request.orders.put_nowait(body)
            loop.settle()
            if rest:
                assert 2 * LARGE - KERNEL < held[-1][1] < 2 * LARGE - KERNEL + 1000
        while connection.read(KERNEL):
            pass
        assert set(dict(held).values()) == {0}, "at the end nothing is"
    assert connection.received.count(b"a" * 2 * LARGE) == 2


def test_an_answer_that_is_evicted_ends_its_connection(loop: ClockLoop) -> None:
    admission = Admission(10, max_bytes=2 * LARGE)
    protocol = partial(BoundedProtocol, max_connections=10, hold_answer=admission.hold_answer)
    slow, next_ = Connection(loop, protocol), Connection(loop, protocol)
    slow.send(GET)
    slow.answer(only(slow), 2 * LARGE)
    (answer,) = admission._answers
    answer.since -= 60
    next_.send(GET)
    next_.answer(only(next_), LARGE)
    assert (slow.open, next_.open) == (False, True)
    assert 0 < admission.bytes_held < LARGE
    while next_.read(KERNEL):
        pass
    assert next_.received.endswith(b"a" * LARGE)
    assert admission.bytes_held == 0


LONG_HEADERS = {
    "one": b"x: " + b"a" * 200_000 + b"\r\n",
    "many": b"x: a\r\n" * 20_000,
}


@pytest.mark.parametrize("fields", LONG_HEADERS.values(), ids=LONG_HEADERS)
@pytest.mark.parametrize("where", ["headers", "trailers", "behind a request"])
def test_headers_have_a_bound_although_they_arrive_in_one_piece(
    connect: Callable[..., Connection], fields: bytes, where: str
) -> None:
    head = POST + b"transfer-encoding: chunked\r\n"
    sent = {
        "headers": head + fields + b"\r\n0\r\n\r\n",
        "trailers": head + b"\r\n5\r\naaaaa\r\n0\r\n" + fields + b"\r\n",
        "behind a request": GET + head + fields + b"\r\n0\r\n\r\n",
    }[where]
    connection = connect()
    connection.send(sent)
    if where == "behind a request":
        connection.answer(only(connection))
    connection.read(10_000)
    if where == "behind a request":
        assert connection.received.count(b"HTTP/1.1 200") == 1
        assert b"connection: close" in connection.received
    else:
        assert connection.received.startswith(b"HTTP/1.1 431"), connection.received
        assert b'"code":"request_header_fields_too_large"' in connection.received
    assert all(request.disconnected for request in connection.unanswered)


def test_headers_up_to_the_bound_are_accepted_and_trailers_are_none_of_them(
    connect: Callable[..., Connection],
) -> None:
    connection = connect()
    fields = b"x: " + b"a" * (MAX_HEADER_BYTES - 1000) + b"\r\n"
    head = POST + b"transfer-encoding: chunked\r\n" + fields
    connection.send(head + b"\r\n5\r\naaaaa\r\n0\r\ny: b\r\n" + fields + b"\r\n")
    request = only(connection)
    assert request.body == b"aaaaa"
    names = [name for name, _ in request.scope["headers"]]
    assert names == [b"host", b"transfer-encoding", b"x"]
    connection.answer(request)
    connection.send(GET)
    connection.answer(connection.requests[1])
    connection.read(1000)
    assert connection.received.count(b"HTTP/1.1 200") == 2


def test_a_reset_leaves_nothing_behind(connect: Callable[..., Connection], loop: ClockLoop) -> None:
    connection = connect()
    connection.send(GET)
    connection.answer(only(connection))
    connection.reset()
    assert not loop.timers()


def test_garbage_behind_a_request_does_not_take_its_answers_place(
    connect: Callable[..., Connection],
) -> None:
    connection = connect()
    connection.send(WHOLE["post"] + ODD["garbage"])
    connection.answer(only(connection))
    connection.read(1000)
    assert connection.received.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in connection.received
    assert b" 400 " not in connection.received


def test_an_offer_of_another_protocol_is_ignored_and_the_body_read(
    connect: Callable[..., Connection],
) -> None:
    connection = connect()
    for byte in WHOLE["offer with a body"] + GET:
        connection.send(bytes([byte]))
    assert connection.requests[0].body == b"a" * 10
    names = {name for name, _ in connection.requests[0].scope["headers"]}
    assert names == {b"host", b"connection", b"content-length"}
    connection.answer(connection.requests[0])
    connection.answer(connection.requests[1])
    connection.read(1000)
    assert connection.received.count(b"HTTP/1.1 200") == 2


def test_after_the_port_is_closed_a_request_on_its_way_is_answered(
    connect: Callable[..., Connection], loop: ClockLoop
) -> None:
    connection = connect()
    connection.send(PARTS["headers"][0])
    connection.protocol.shutdown()
    connection.send(PARTS["headers"][1])
    connection.answer(only(connection))
    connection.read(1000)
    assert connection.received.startswith(b"HTTP/1.1 200")
    assert not connection.open

    silent = connect()
    silent.protocol.shutdown()
    loop.advance(TIMES.last_request + 0.1)
    assert not silent.open


def test_the_parts_of_uvicorn_that_are_built_upon_are_there() -> None:
    """pyproject.toml bounds uvicorn for this: what is private may change with any version."""
    protocol = httptools_impl.HttpToolsProtocol
    for name in (
        *("connection_made", "connection_lost", "data_received", "eof_received"),
        *("pause_writing", "resume_writing", "shutdown", "on_message_begin"),
        *("on_headers_complete", "on_body", "on_message_complete", "on_response_complete"),
        *("on_url", "on_header"),
        "_unset_keepalive_if_required",
    ):
        assert callable(getattr(protocol, name)), name
    used = set(protocol.__init__.__code__.co_names)
    assert used >= {"cycle", "pipeline", "flow", "connections", "loop", "parser"}
    cycle = set(httptools_impl.RequestResponseCycle.__init__.__code__.co_names)
    assert cycle >= {
        "disconnected", "keep_alive", "message_event", "response_started", "response_complete",
    }  # fmt: skip
    flow = set(httptools_impl.FlowControl.__init__.__code__.co_names)
    assert flow >= {"read_paused", "write_paused"}
