"""Engines that raise, give NaN, or never return: a real server on a faulty ONNX Runtime."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.images import encode
from tests.server import ONE_THREAD, Server
from tests.wire import metric, settled


@pytest.fixture
def faulty(start_server: Callable[..., Server]) -> Iterator[Server]:
    """Its limits leave room for a busy machine: a run of a network takes far less than
    STALL_TIMEOUT_S, a new engine and what waits for it less than REQUEST_TIMEOUT_S."""
    server = start_server(
        "tests.faulty",
        STALL_TIMEOUT_S="4",
        REQUEST_TIMEOUT_S="55",
        DRAIN_GRACE_S="0",
        **ONE_THREAD,  # another worker would go on meanwhile
    )
    server.wait_until_ready()
    yield server
    server.stop()


def set_fault(server: Server, fault: str | None) -> None:
    path = server.folder / "fault"
    if fault:
        (server.folder / "new").write_text(fault)
        (server.folder / "new").rename(path)
    else:
        path.unlink(missing_ok=True)


def post(server: Server, data: bytes) -> httpx.Response:
    return server.client.post("/detect", files={"file": data})


@pytest.mark.parametrize("fault", ["raise", "nan"])
def test_an_engine_that_fails_is_replaced_once_it_can_be(
    faulty: Server, four_faces: Path, fault: str
) -> None:
    photo = four_faces.read_bytes()
    right = post(faulty, photo).json()["faces"]
    set_fault(faulty, fault)

    failed = post(faulty, photo)

    assert failed.status_code == 500
    assert failed.json()["code"] == "inference_failed"
    assert "CUDA" not in failed.text, "what ONNX Runtime says is for the log"
    settled(lambda: faulty.client.get("/health").status_code == 503)
    assert faulty.client.get("/health").json()["status"] == "recovering"
    assert faulty.client.get("/health/live").status_code == 200
    meanwhile = post(faulty, photo)
    assert (meanwhile.status_code, meanwhile.json()["code"]) == (503, "not_ready")
    assert int(meanwhile.headers["retry-after"]) > 0

    set_fault(faulty, None)
    faulty.wait_until_ready()
    assert post(faulty, photo).json()["faces"] == right
    assert metric(faulty, "face_service_engines_lost_total", why="broken") == 1
    assert metric(faulty, "face_service_failed_total") == 1


def test_an_engine_that_hangs_costs_the_requests_inside_it(
    faulty: Server, four_faces: Path
) -> None:
    photo = four_faces.read_bytes()
    set_fault(faulty, "hang")
    with ThreadPoolExecutor(4) as clients:
        first = clients.submit(post, faulty, photo)
        settled(lambda: not (faulty.folder / "fault").exists())
        others = [clients.submit(post, faulty, photo) for _ in range(3)]
        assert first.result().status_code == 500
        assert first.result().json()["code"] == "inference_failed"
        assert [other.result().status_code for other in others] == [200, 200, 200]
    assert metric(faulty, "face_service_engines_lost_total", why="stalled") == 1
    assert faulty.client.get("/health").json()["status"] == "healthy"


def test_a_process_whose_engines_keep_hanging_ends(faulty: Server, four_faces: Path) -> None:
    for _ in range(3):
        faulty.wait_until_ready()
        set_fault(faulty, "hang")
        failed = post(faulty, four_faces.read_bytes())
        assert (failed.status_code, failed.json()["code"]) == (500, "inference_failed")
    assert faulty.wait_until_ended() == 1
    assert "3 engines have hung" in faulty.log()


def test_a_deadline_is_kept_while_the_engine_is_slow(
    start_server: Callable[..., Server], solvay: Path
) -> None:
    """A photo of 29 faces is more runs than there are half seconds in the deadline; an empty
    picture is one."""
    server = start_server("tests.faulty", REQUEST_TIMEOUT_S="3")
    server.wait_until_ready()
    set_fault(server, "slow")
    started = time.monotonic()
    response = post(server, solvay.read_bytes())
    assert (response.status_code, response.json()["code"]) == (504, "deadline_passed")
    assert time.monotonic() - started < 15
    assert metric(server, "face_service_expired_total") == 1
    set_fault(server, None)
    empty = encode(np.zeros((64, 64, 3), np.uint8), "PNG")
    settled(lambda: post(server, empty).status_code == 200)
    assert metric(server, "face_service_engines_lost_total", why="stalled") == 0
    server.stop()


@pytest.mark.parametrize("line", ["Available ONNX providers", "verified", "Using ONNX providers"])
def test_sigterm_while_the_models_load_ends_in_order(
    start_server: Callable[..., Server], line: str
) -> None:
    """The thread that loads is inside ONNX Runtime: the interpreter must not go before it."""
    server = start_server(forked=False, DRAIN_GRACE_S="0")
    settled(lambda: line in server.log())
    assert server.stop() == 0, server.log()
    assert "terminate called" not in server.log()
    assert "Finished server process" in server.log(), "the last lines are written"
