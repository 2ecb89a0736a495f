"""Connections that are held, left, broken or abused: an end, and an answer for whoever reads."""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from face_service.http.transport import has_left
from tests.hostile.sockets import answers, receive, talk
from tests.images import encode
from tests.server import Server
from tests.wire import metric, settled


@pytest.fixture(scope="module")
def target(start_small_server: Callable[..., Server]) -> Iterator[Server]:
    server = start_small_server(MAX_BODY_MB="8")
    server.wait_until_ready()
    yield server
    server.stop_unharmed()


@pytest.fixture(scope="module")
def stuck(start_small_server: Callable[..., Server]) -> Iterator[Server]:
    """A server inside which requests stay: with an image that is decoded for longer than one may
    take."""
    server = slow_decoder(start_small_server, REQUEST_TIMEOUT_S="600")
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def photo(solvay: object) -> bytes:
    """Solvay 1927 at 1200×868: a second of work."""
    return encode(cv2.resize(cv2.imread(str(solvay)), (1200, 868)), "JPEG", quality=60)


def post(body: bytes, length: int | None = None, *headers: bytes) -> bytes:
    lines = [b"POST /detect HTTP/1.1", b"host: x", b"content-type: image/jpeg", *headers,
             b"content-length: %d" % (len(body) if length is None else length)]  # fmt: skip
    return b"\r\n".join([*lines, b"", body])


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=25)


def test_who_leaves_behind_two_requests_is_noticed_for_both(
    start_server: Callable[..., Server], photo: bytes, solvay: object
) -> None:
    """Where all of them fits into what is read ahead of an answer, 64 KiB."""
    crowd = cv2.resize(cv2.imread(str(solvay)), (900, 651))
    fitting = encode(crowd, "JPEG", quality=25)
    assert len(fitting) < 60_000
    server = start_server()  # a small one answers the photo before it is looked at
    server.wait_until_ready()
    with connect(server) as busy:
        busy.sendall(post(photo))
        settled(lambda: metric(server, "face_service_requests_inside") == 1)
        leavers = [connect(server) for _ in range(10)]
        for leaver in leavers:
            leaver.sendall(post(fitting) * 2)
        settled(lambda: metric(server, "face_service_requests_inside") == 11)
        for leaver in leavers:
            leaver.close()
        computed = metric(server, "face_service_batch_images_count")
        settled(lambda: metric(server, "face_service_requests_inside") <= 1)
    settled(lambda: metric(server, "face_service_requests_inside") == 0)
    assert metric(server, "face_service_requests_total", status="500") == 0
    assert metric(server, "face_service_batch_images_count") <= computed + 2
    assert server.stop() == 0
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("leave", ["end", "reset"])
def test_who_leaves_with_a_second_request_half_sent_is_noticed_for_both(
    stuck: Server, leave: str
) -> None:
    """It does not fit into what is read ahead; who resets may have sent any amount."""
    before = left(stuck)
    beginning = post(b"a" * (80_000 if leave == "end" else 5_000_000), 10_000_000)
    with connect(stuck) as connection:
        connection.sendall(post(BMP))
        settled(lambda: metric(stuck, "face_service_requests_inside") == 1)
        connection.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            connection.sendall(beginning)
        time.sleep(0.2)
        assert metric(stuck, "face_service_requests_inside") == 1
        if leave == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    settled(lambda: metric(stuck, "face_service_requests_inside") == 0)
    assert left(stuck) == before + 1


def left(server: Server) -> float:
    """Requests whose client has left."""
    return metric(server, "face_service_requests_total", status="499")


@pytest.mark.skipif(sys.platform != "linux", reason="open files are counted in /proc")
def test_an_end_behind_more_than_the_kernel_takes_is_seen_by_the_deadline(
    start_small_server: Callable[..., Server],
) -> None:
    """The end of the connection waits in the client's kernel, as nothing more is read before the
    first request has its answer."""
    server = slow_decoder(start_small_server, REQUEST_TIMEOUT_S="3")
    files = Path(f"/proc/{server.process.pid}/fd")
    before = len(list(files.iterdir()))
    with connect(server) as connection:
        connection.sendall(post(BMP))
        settled(lambda: metric(server, "face_service_requests_inside") == 1)
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.sendall(post(b"a" * 20_000_000, 30_000_000))
    settled(lambda: metric(server, "face_service_requests_inside") == 0)
    settled(lambda: len(list(files.iterdir())) <= before)
    assert metric(server, "face_service_requests_total", status="504") == 1
    assert server.stop() == 0
    assert "Traceback" not in server.log()


def test_who_ends_only_the_sending_side_is_taken_for_gone(stuck: Server) -> None:
    """docs/decisions/0022-server-and-processes.md says why; `nc -N` does it."""
    before = left(stuck)
    with connect(stuck) as connection:
        connection.sendall(post(BMP))
        settled(lambda: metric(stuck, "face_service_requests_inside") == 1)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    settled(lambda: metric(stuck, "face_service_requests_inside") == 0)
    assert left(stuck) == before + 1


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux says of a connection")
def test_the_kernel_tells_no_half_close_from_a_close_before_something_is_written() -> None:
    """Else clients that end their sending side alone could be answered."""
    seen = [told_of(lambda client: client.close()),
            told_of(lambda client: client.shutdown(socket.SHUT_WR))]  # fmt: skip
    assert seen[0] == seen[1]


def told_of(leave: Callable[[socket.socket], None]) -> tuple[int, bytes, int, bytes]:
    """Events, state and error of a connection whose other side has left, and what is read."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    with client, ours:
        leave(client)
        settled(lambda: has_left(ours))
        events = select.poll()
        events.register(ours.fileno(), select.POLLIN | select.POLLOUT | select.POLLRDHUP)
        state = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        error = ours.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return events.poll(0)[0][1], state, error, ours.recv(1)


def slow_decoder(start_small_server: Callable[..., Server], **variables: str) -> Server:
    """A server that never finishes decoding BMP."""
    server = start_small_server(
        module="tests.hostile.slow_decoder", STALL_TIMEOUT_S="600", **variables
    )
    server.wait_until_ready()
    return server


BMP = encode(np.zeros((64, 64, 3), np.uint8), "BMP")
GARBAGE = b"\x00\x01 nonsense\r\n\r\n"


def test_garbage_in_one_piece_with_a_request_does_not_take_its_answers_place(
    target: Server, small: bytes
) -> None:
    (answer,) = answers(talk(target, post(small) + GARBAGE, end=False))
    assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_garbage_while_a_request_is_inside_does_not_take_its_answers_place(
    start_small_server: Callable[..., Server],
) -> None:
    server = slow_decoder(start_small_server, REQUEST_TIMEOUT_S="5")
    with connect(server) as connection:
        connection.sendall(post(BMP))
        settled(lambda: metric(server, "face_service_requests_inside") == 1)
        connection.sendall(GARBAGE)
        assert metric(server, "face_service_requests_inside") == 1, "it was read in time"
        received = b""
        while data := connection.recv(65536):
            received += data
    (answer,) = answers(received)
    assert (answer.status, answer.headers["connection"]) == (504, "close")
    assert server.stop() == 0


def test_garbage_after_an_answer_has_one_of_its_own(target: Server, small: bytes) -> None:
    with connect(target) as connection:
        connection.sendall(post(small))
        answer = receive(connection)
        assert (answer.status, answer.headers.get("connection")) == (200, None)
        connection.sendall(GARBAGE)
        refusal = receive(connection)
        assert (refusal.status, refusal.json["code"]) == (400, "bad_request")
        assert refusal.headers["connection"] == "close"
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "fields", [b"x: " + b"a" * 200_000, b"\r\n".join([b"x: a"] * 20_000)], ids=["one", "many"]
)
def test_headers_that_arrive_in_one_piece_have_their_bound(target: Server, fields: bytes) -> None:
    for _ in range(3):
        with connect(target) as connection:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n" + fields + b"\r\n\r\n")
            answer = receive(connection)
        assert (answer.status, answer.json["code"]) == (431, "request_header_fields_too_large")
        assert set(answer.json) == {"detail", "code", "request_id"}


def test_a_line_end_behind_a_body_costs_nothing(target: Server, small: bytes) -> None:
    with connect(target) as connection:
        connection.sendall(post(small))
        time.sleep(0.05)
        connection.sendall(b"\r\n")
        assert connection.recv(20).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_an_answer_given_early_is_read_although_the_connection_ends_with_it(
    target: Server, version: bytes
) -> None:
    """As urllib does: everything is sent before anything is read."""
    for _ in range(5):
        request = post(bytes(20_000_000), None, b"connection: close").replace(b"1.1", version, 1)
        with connect(target) as connection:
            connection.sendall(request)
            received = b""
            while data := connection.recv(65536):
                received += data
        (answer,) = answers(received)
        assert (answer.status, answer.json["code"]) == (413, "too_large")


def test_a_refusal_is_read_although_more_was_sent(target: Server) -> None:
    for _ in range(5):
        with connect(target) as connection:
            connection.sendall(b"nonsense\r\n\r\n" + bytes(900_000))
            answer = receive(connection)
        assert answer.status == 400


def test_a_connection_goes_on_after_an_early_answer(target: Server) -> None:
    with connect(target) as connection:
        connection.sendall(post(bytes(10_000_000)))
        early = receive(connection)
        connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        next_ = receive(connection)
    assert (early.status, next_.status) == (413, 200)


def test_with_few_files_the_bound_on_connections_is_lower_and_said(
    start_small_server: Callable[..., Server],
) -> None:
    server = start_small_server(
        forked=False
    )  # a fork would have read its limits before they are set
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (128, 128))  # type: ignore[attr-defined]
    server.wait_until_ready()
    server.client.close()
    warned = "MAX_CONNECTIONS=1000 is lowered to 64: this process may open 128 files"
    assert warned in server.log(), "the limit was set before the start was through"
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(server)) for _ in range(100)]
        for connection in connections[65:]:
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b"", "it was not refused"
        settled(lambda: "A connection was refused: 64 are open" in server.log())
    server.client = httpx.Client(base_url=server.url, timeout=60)
    settled(lambda: httpx.get(f"{server.url}/health/live").status_code == 200)
    # Of 101, one may come in when another has just been closed.
    assert metric(server, "face_service_connections_refused_total") in (35, 36)
    assert server.log().count("A connection was refused") < 36, "one line a connection is too many"
    assert server.stop() == 0
