"""The states of a connection and their timer, without sockets: every order of what can happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from uvicorn.protocols.http import httptools_impl

from face_service.http.connection_state import MIN_PROGRESS_BYTES, State, Timeouts
from face_service.http.protocol import (
    MAX_DROPPED_BYTES,
    MAX_HEADER_BYTES,
    MAX_PIPELINED,
    BoundedProtocol,
)
from face_service.serialization import UNSENT
from face_service.serving.admission import Admission, Transfer
from tests.http.connection import KERNEL, ClockLoop, Connection, Request

TIMES = Timeouts()
LONGEST = max(TIMES.keep_alive, TIMES.linger, TIMES.write)
LARGE = 3 * KERNEL
OFFER = b"connection: upgrade, http2-settings\r\nhttp2-settings: AA\r\nupgrade: h2c\r\n"
POST = b"POST /detect HTTP/1.1\r\nhost: x\r\n"
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
CLOSE = (b"connection", b"close")
WHOLE = {
    "get": GET,
    "two gets": GET + GET,
    "http/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "post": POST + b"content-length: 10\r\n\r\n" + b"a" * 10,
    "two posts": (POST + b"content-length: 10\r\n\r\n" + b"a" * 10) * 2,
    "large post": POST + b"content-length: 200000\r\n\r\n" + b"a" * 200_000,
    "chunked": POST + b"transfer-encoding: chunked\r\n\r\n5\r\naaaaa\r\n0\r\n\r\n",
    "offer": b"GET / HTTP/1.1\r\nhost: x\r\n" + OFFER + b"\r\n",
    "offer with a body": POST + OFFER + b"content-length: 10\r\n\r\n" + b"a" * 10,
}
PARTS = {
    "headers": (b"GET / HTTP/1.1\r\nhost", b": x\r\n\r\n"),
    "post": (POST + b"content-length: 10\r\n\r\naaaaa", b"aaaaa"),
    "large post": (POST + b"content-length: 100000\r\n\r\n" + b"a" * 70_000, b"a" * 30_000),
    "expects": (POST + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\n", b"aaaaa"),
    "chunked": (POST + b"transfer-encoding: chunked\r\n\r\n5\r\naaaaa\r\n", b"0\r\n\r\n"),
    "offer": (POST + OFFER + b"content-length: 10\r\n\r\naaaaa", b"aaaaa"),
    "line end": (b"\r", b"\n"),
}
ODD = {
    "connect": b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n",
    "no path": b"GET http://x HTTP/1.1\r\nhost: x\r\n\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01",
    "flood": b"x" * 70_000,
}


@pytest.fixture
def loop() -> Iterator[ClockLoop]:
    made = ClockLoop()
    yield made
    made.close()


@pytest.fixture
def connect(loop: ClockLoop) -> Callable[..., Connection]:
    return partial(Connection, loop, partial(BoundedProtocol, max_connections=10))


class ConnectionMachine(RuleBasedStateMachine):
    """A client and an application that do anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = ClockLoop()
        self.admission = Admission(10)
        protocol = partial(
            BoundedProtocol, max_connections=10, hold_answer=self.admission.hold_answer
        )
        self.connection = Connection(self.loop, protocol)
        self.connection.on_abort = self.aborted
        self.read: list[tuple[float, int]] = []
        self.rest = b""
        """Of the request that is being sent."""
        self.odd = self.ending = False

    @initialize(
        odd=st.integers(0, 3), ending=st.integers(0, 1), first=st.sampled_from(sorted(WHOLE))
    )
    def choose(self, odd: int, ending: int, first: str) -> None:
        """One client in four sends what is no HTTP, every second leaves or meets the end."""
        self.odd, self.ending = not odd, not ending
        self.send(first)

    def aborted(self) -> None:
        """Only a timer aborts, or a flood: never a client that reads, nor one that waits."""
        protocol, now = self.connection.protocol, self.loop.now
        if (protocol._dropped or 0) > MAX_DROPPED_BYTES:
            return
        if self.connection.transport.unsent:
            begin = now - TIMES.write + 1e-6  # sums of 0.4 are not exact
            lately = sum(size for when, size in self.read if when > begin)
            assert lately < MIN_PROGRESS_BYTES, "the client was reading"
        else:
            waiting = [r for r in self.connection.unanswered if not r.disconnected]
            assert not waiting, "the client was waiting for its answer"

    @precondition(lambda self: self.connection.open and not self.rest)
    @rule(request=st.sampled_from(sorted(WHOLE)))
    def send(self, request: str) -> None:
        self.connection.send(WHOLE[request])

    @precondition(lambda self: self.connection.open and not self.rest)
    @rule(request=st.sampled_from(sorted(PARTS)))
    def begin(self, request: str) -> None:
        beginning, self.rest = PARTS[request]
        self.connection.send(beginning)

    @precondition(lambda self: self.connection.open and self.rest)
    @rule()
    def finish(self) -> None:
        self.connection.send(self.rest)
        self.rest = b""

    @precondition(lambda self: self.connection.open and self.odd)
    @rule(piece=st.sampled_from(sorted(ODD)))
    def send_no_http(self, piece: str) -> None:
        self.connection.send(ODD[piece])

    @precondition(lambda self: self.connection.open)
    @rule(size=st.sampled_from([1, MIN_PROGRESS_BYTES, LARGE]))
    def receive(self, size: int) -> None:
        taken = self.connection.read(size)
        self.read.append((self.loop.now, taken))

    @precondition(lambda self: self.connection.unanswered)
    @rule()
    def answer_shortly(self) -> None:
        self.answer(10, False)

    @precondition(lambda self: self.connection.unanswered)
    @rule(size=st.sampled_from([0, LARGE]), close=st.booleans())
    def answer(self, size: int, close: bool) -> None:
        headers = [CLOSE] if close else []
        self.connection.answer(self.connection.unanswered[0], size, *headers)

    @rule(seconds=st.sampled_from([0.4, 5.0, 9.0, 20.0, 29.0]))
    def wait(self, seconds: float) -> None:
        self.loop.advance(seconds)

    @precondition(lambda self: self.connection.open and self.ending)
    @rule(how=st.sampled_from(["shutdown", "end", "reset"]))
    def end(self, how: str) -> None:
        if how == "shutdown":
            self.connection.protocol.shutdown()
            self.loop.settle()
        else:
            getattr(self.connection, how)()

    @invariant()
    def one_timer_while_open_and_none_after(self) -> None:
        protocol, transport = self.connection.protocol, self.connection.transport
        timers = self.loop.timers()
        if transport.lost:
            assert not timers, "a timer keeps a connection that is gone"
            assert not self.admission.bytes_held, "so do its bytes"
            assert all(r.disconnected for r in self.connection.unanswered), "nobody told it"
        else:
            assert len(timers) == 1, f"nothing ends {protocol._timer.state}"
            held, unsent = self.admission.bytes_held, len(transport.unsent)
            interim = 16 * len(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert held + interim >= unsent, "memory that is not counted"
            assert bool(held) == bool(unsent)
        if not transport.lost and not transport.unsent and protocol._unanswered:
            assert protocol._timer.state is State.ANSWERING
            assert any(self.connection.unanswered), "nobody handles it"
        assert not any(task.done() and task.exception() for task in self.connection.state.tasks)

    def teardown(self) -> None:
        """Whatever has happened: answered and left alone, every connection ends."""
        for _ in range(100):
            if self.connection.open and self.connection.unanswered:
                self.answer(10, False)
        self.loop.advance(4 * LONGEST)
        assert not self.connection.open, f"held for ever in {self.connection.protocol._timer.state}"
        assert not self.loop.timers()
        assert not self.connection.state.connections
        assert not self.admission.bytes_held
        assert not asyncio.all_tasks(self.loop), "a request is handled for ever"
        self.loop.close()


TestConnectionMachine = ConnectionMachine.TestCase
TestConnectionMachine.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)


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
