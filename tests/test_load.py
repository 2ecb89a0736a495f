"""More than it can do, clients that go away, an end in the middle of it: a real server."""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from tests.images import encode
from tests.server import Server
from tests.wire import metric, settled

QUEUE = 4


@pytest.fixture(scope="module")
def crowd(solvay: Path) -> bytes:
    """Solvay 1927 at 1200×868, 29 faces: a second of work, where something has to happen in it."""
    return encode(cv2.resize(cv2.imread(str(solvay)), (1200, 868)), "JPEG", quality=95)


@pytest.fixture(scope="module")
def photo(four_faces: Path) -> bytes:
    """Four faces."""
    return four_faces.read_bytes()


@pytest.fixture(scope="module")
def small() -> bytes:
    return encode(np.zeros((64, 64, 3), np.uint8), "JPEG")


def post(url: str, data: bytes) -> httpx.Response:
    return httpx.post(f"{url}/detect", content=data, headers={"Content-Type": "image/jpeg"},
                      timeout=60)  # fmt: skip


def test_beyond_its_queue_it_says_429_at_once_and_health_still_answers(
    start_small_server: Callable[..., Server], photo: bytes
) -> None:
    server = start_small_server("tests.faulty", MAX_QUEUE=str(QUEUE), LOG_LEVEL="WARNING")
    server.wait_until_ready()
    (server.folder / "fault").write_text("slow")  # seconds a photo, so that the queue is full
    with ThreadPoolExecutor(5 * QUEUE) as clients:
        pending = [clients.submit(post, server.url, photo) for _ in range(5 * QUEUE)]
        settled(lambda: metric(server, "face_service_rejected_total", why="overloaded") > 0)
        assert server.client.get("/health").status_code == 200
        assert server.client.get("/health/live").status_code == 200
        assert metric(server, "face_service_requests_inside") <= QUEUE
        responses = [future.result() for future in pending]
    statuses = Counter(response.status_code for response in responses)
    assert set(statuses) == {200, 429}
    assert statuses[200] >= QUEUE
    for response in responses:
        if response.status_code == 429:
            assert response.json()["code"] == "overloaded"
            assert int(response.headers["retry-after"]) >= 1
        else:
            assert len(response.json()["faces"]) == 4
    assert metric(server, "face_service_rejected_total", why="overloaded") == statuses[429]
    assert post(server.url, photo).status_code == 200
    server.stop()


def test_the_queue_is_asked_before_the_body_is_read(
    start_small_server: Callable[..., Server], photo: bytes
) -> None:
    server = start_small_server(MAX_QUEUE="1", REQUEST_TIMEOUT_S="3")
    server.wait_until_ready()
    address = ("127.0.0.1", server.port)
    head = (
        b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\n"
        b"content-length: 9999\r\n\r\n"
    )
    with socket.create_connection(address) as slow, socket.create_connection(address) as second:
        slow.sendall(head + photo[:10])
        settled(lambda: metric(server, "face_service_requests_inside") == 1)
        second.sendall(head)
        assert second.recv(20).startswith(b"HTTP/1.1 429"), "not a byte of the body was sent"
        slow.settimeout(10)
        assert slow.recv(20).startswith(b"HTTP/1.1 504"), "a body has its deadline too"
    settled(lambda: metric(server, "face_service_requests_inside") == 0)
    server.stop()


def test_a_client_that_has_gone_never_reaches_the_engine(
    start_server: Callable[..., Server], crowd: bytes
) -> None:
    server = start_server(WORKERS="1")
    server.wait_until_ready()
    batches = metric(server, "face_service_batch_images_count")
    with ThreadPoolExecutor(2) as clients:
        pending = [clients.submit(post, server.url, crowd) for _ in range(2)]
        settled(lambda: metric(server, "face_service_queue_depth") == 1)
        request = (
            b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(crowd), crowd)
        )
        impatient = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
        for connection in impatient:
            connection.sendall(request)
        settled(lambda: metric(server, "face_service_requests_inside") >= 6)
        for connection in impatient:
            connection.close()
        assert [future.result().status_code for future in pending] == [200, 200]
    settled(lambda: metric(server, "face_service_requests_inside") == 0)
    gone = metric(server, "face_service_requests_total", status="499")
    computing = metric(server, "face_service_cancelled_total", where="computing")
    assert gone == 5
    assert metric(server, "face_service_batch_images_count") - batches == 2 + computing
    assert computing <= 1, "cancelled while waiting, computed all the same"
    assert metric(server, "face_service_decoded_bytes") == 0
    server.stop()


def load_until(stop: threading.Event, url: str, data: bytes, seen: list[str]) -> None:
    """Post in a loop on one connection; keep each status, and how the connection ended."""
    with httpx.Client(timeout=60) as client:
        while not stop.is_set():
            try:
                response = client.post(
                    f"{url}/detect", content=data, headers={"Content-Type": "image/jpeg"}
                )
            except httpx.TransportError as error:
                seen.append(repr(error))
                return
            if response.status_code == 200:
                assert len(response.json()["faces"]) == 4
            seen.append(str(response.status_code))


@pytest.mark.parametrize("turn", range(3))
def test_sigterm_under_load_loses_nothing_and_ends_with_0(
    start_server: Callable[..., Server], photo: bytes, turn: int
) -> None:
    """`python -m tests.drain` does this 20 times."""
    server = start_server(forked=turn > 0, DRAIN_GRACE_S="1", REQUEST_TIMEOUT_S="120")
    server.wait_until_ready()
    end_under_load(server, photo, 0.1 * turn)


def end_under_load(server: Server, photo: bytes, pause: float) -> None:
    """SIGTERM while 8 clients post: what is inside is answered, what comes after that is told
    503 or, once the port is closed, turned away."""
    stop = threading.Event()
    seen: list[list[str]] = [[] for _ in range(8)]
    clients = [
        threading.Thread(target=load_until, args=(stop, server.url, photo, mine)) for mine in seen
    ]
    for client in clients:
        client.start()
    settled(lambda: metric(server, "face_service_queue_depth") >= 3)
    time.sleep(pause)
    server.process.send_signal(signal.SIGTERM)
    settled(lambda: httpx.get(f"{server.url}/health/ready").status_code == 503, 5)
    assert httpx.get(f"{server.url}/health").json()["status"] == "draining"
    assert httpx.get(f"{server.url}/health/live").status_code == 200
    status = server.wait_until_ended(150)
    stop.set()
    for client in clients:
        client.join(20)
    assert status == 0, server.log()
    for mine in seen:
        story = [event for event, _ in itertools.groupby(mine)]
        if story[-1] not in ("200", "503"):
            story.pop()  # the port was closed: this request was never accepted
        assert story in (["200"], ["200", "503"], ["503"]), story
    answered = sum(mine.count("200") for mine in seen)
    assert answered == server.log().count("Detected 4 faces"), "computed, and not delivered"
    assert "Traceback" not in server.log()


def test_a_body_that_was_on_its_way_at_sigterm_is_answered(
    start_small_server: Callable[..., Server], photo: bytes
) -> None:
    server = start_small_server(DRAIN_GRACE_S="0")
    server.wait_until_ready()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head_of(photo) + photo[:1000])
        settled(lambda: metric(server, "face_service_requests_inside") == 1)
        server.process.send_signal(signal.SIGTERM)
        settled(lambda: server.client.get("/health").status_code == 503, 5)
        connection.sendall(photo[1000:])
        assert connection.recv(20).startswith(b"HTTP/1.1 200")
    assert server.wait_until_ended(20) == 0


def test_a_client_that_goes_in_the_middle_of_its_body_is_no_error(
    start_small_server: Callable[..., Server], photo: bytes
) -> None:
    server = start_small_server()
    server.wait_until_ready()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head_of(photo) + photo[:1000])
        settled(lambda: metric(server, "face_service_requests_inside") == 1)
    settled(lambda: metric(server, "face_service_requests_total", status="499") == 1)
    assert metric(server, "face_service_requests_inside") == 0
    assert server.stop() == 0
    assert "Traceback" not in server.log()


def head_of(photo: bytes) -> bytes:
    """The head of a request whose body is `photo`."""
    return (
        b"POST /detect HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\n"
        b"content-length: %d\r\n\r\n" % len(photo)
    )


def test_in_the_grace_requests_are_answered_and_a_second_sigterm_hurries(
    start_small_server: Callable[..., Server], photo: bytes
) -> None:
    """A balancer sends them until it has looked at /health/ready again."""
    server = start_small_server("tests.faulty", DRAIN_GRACE_S="60")
    server.wait_until_ready()
    server.process.send_signal(signal.SIGTERM)
    settled(lambda: server.client.get("/health/ready").status_code == 503, 5)
    answer = post(server.url, photo)
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert len(answer.json()["faces"]) == 4
    assert server.process.poll() is None
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_until_ended(10) == 0


def test_the_end_waits_for_what_computes_for_nobody(
    start_server: Callable[..., Server], crowd: bytes
) -> None:
    """A run that comes back into an interpreter that is gone would abort the process."""
    server = start_server(DRAIN_GRACE_S="0")
    server.wait_until_ready()
    files = [("files", crowd)] * 12  # seconds of work
    request = httpx.Request("POST", f"{server.url}/detect/batch", files=files)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(
            b"POST /detect/batch HTTP/1.1\r\nhost: x\r\ncontent-type: %b\r\n"
            b"content-length: %b\r\n\r\n"
            % (request.headers["content-type"].encode(), request.headers["content-length"].encode())
        )
        client.sendall(request.read())
        settled(lambda: metric(server, "face_service_batch_images_count") >= 1)
    settled(lambda: metric(server, "face_service_cancelled_total", where="computing") >= 1)
    assert server.stop() == 0, server.log()


def test_after_sigkill_a_start_needs_no_repair(
    start_server: Callable[..., Server], photo: bytes, crowd: bytes
) -> None:
    first = start_server()  # a small one answers before it is looked at
    first.wait_until_ready()
    with contextlib.suppress(httpx.TransportError), ThreadPoolExecutor(1) as client:
        pending = client.submit(post, first.url, crowd)
        settled(lambda: metric(first, "face_service_requests_inside") == 1)
        first.process.kill()
        pending.result()
    first.wait_until_ended()
    second = start_server(PORT=str(first.port))
    second.wait_until_ready()
    assert len(post(second.url, photo).json()["faces"]) == 4
    second.stop()


def test_decoded_pixels_are_bounded(start_server: Callable[..., Server]) -> None:
    """Images that take 70 MB each, in a budget of 40 MB: one after the other, none refused."""
    server = start_server(
        INSIGHTFACE_MODEL="starter", MAX_IMAGE_PIXELS="12000000", MAX_DECODED_MB="40"
    )
    server.wait_until_ready()
    large = encode(np.zeros((2500, 4000, 3), np.uint8), "PNG")
    seen: list[float] = []
    with ThreadPoolExecutor(6) as clients:
        pending = [clients.submit(post, server.url, large) for _ in range(6)]
        while not all(future.done() for future in pending):
            seen.append(metric(server, "face_service_decoded_bytes"))
            time.sleep(0.01)  # a picture takes ten times as long
        assert [future.result().status_code for future in pending] == [200] * 6
    assert max(seen) == 70_000_000 + 640 * 640 * 3 * 4, "one of them, with what the detector sees"
    batch = server.client.post("/detect/batch", files=[("files", large)] * 3)
    assert [result["status"] for result in batch.json()["results"]] == [200] * 3
    server.stop()


def test_one_connection_too_many_is_closed(start_small_server: Callable[..., Server]) -> None:
    server = start_small_server(MAX_CONNECTIONS="8")
    server.wait_until_ready()
    server.client.close()
    with contextlib.ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            for _ in range(12)
        ]
        time.sleep(0.5)
        closed = 0
        for connection in idle:
            connection.settimeout(0.2)
            try:
                closed += connection.recv(1) == b""
            except ConnectionResetError:
                closed += 1
            except TimeoutError:
                pass
        assert closed == 4
    settled(lambda: httpx.get(f"{server.url}/health").status_code == 200)
    server.process.terminate()
    assert server.wait_until_ended() == 0
