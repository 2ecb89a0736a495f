"""POST /group under callers who send what takes long, leave, or come all at once."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable

import httpx
import numpy as np
import pytest

from tests.server import Server
from tests.wire import metric, settled

OCTETS = {"content-type": "application/octet-stream"}


def around_one_picture(count: int) -> bytes:
    """Faces that all are nearest to the first: the fewest merges at once."""
    random = np.random.default_rng(0)
    centre = random.standard_normal(512)
    spread = np.linspace(0.1, 1.5, count)[:, None]
    return (centre + spread * random.standard_normal((count, 512))).astype("<f4").tobytes()


@pytest.fixture(scope="module")
def hurried(start_small_server: Callable[..., Server]) -> Server:
    """A server whose requests have a second."""
    server = start_small_server(REQUEST_TIMEOUT_S="1", MAX_GROUP_FACES="12000")
    server.wait_until_ready()
    return server


def test_a_grouping_ends_at_the_deadline(hurried: Server) -> None:
    late = hurried.client.post(
        "/group?group_similarity=0.1", content=around_one_picture(12_000), headers=OCTETS
    )
    assert (late.status_code, late.json()["code"]) == (504, "deadline_passed")

    def answered() -> bool:
        return grouped(hurried, 2) == 200

    settled(answered)  # the thread is free again


def test_a_caller_who_leaves_ends_the_grouping(server: Server) -> None:
    body = around_one_picture(9_000)
    host, port = server.url.removeprefix("http://").split(":")
    head = (
        "POST /group?group_similarity=0.1 HTTP/1.1\r\nHost: x\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    def left_while_it_was_computed(seconds: float) -> bool:
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode() + body)
            time.sleep(seconds)  # it may still be read when the caller leaves, or be done
        settled(lambda: metric(server, "face_service_requests_inside") == 0)
        return cancelled() == before + 1

    def cancelled() -> float:
        labels = {"where": "computing", "why": "client"}
        return metric(server, "face_service_cancelled_total", **labels)

    before = cancelled()
    assert any(map(left_while_it_was_computed, (1, 0.5, 2, 0.25, 4, 8)))
    assert grouped(server, 2) == 200, "the next one begins"


def grouped(server: Server, faces: int) -> int:
    """The status of grouping so many faces."""
    answer = httpx.post(
        f"{server.url}/group", content=around_one_picture(faces), headers=OCTETS, timeout=60
    )
    return answer.status_code


@pytest.mark.parametrize(
    "vectors",
    [
        np.tile(np.eye(1, 512, dtype="<f4"), (3000, 1)),
        np.tile(np.eye(2, 512, dtype="<f4"), (1500, 1)),
        np.full((100, 512), 1e-30, "<f4"),
        np.full((100, 512), 3e38, "<f4"),
        np.vstack([np.eye(1, 512, dtype="<f4"), -np.eye(1, 512, dtype="<f4")] * 50),
    ],
    ids=["equal", "two", "tiny", "huge", "opposite"],
)
def test_odd_embeddings_are_grouped_quickly(server: Server, vectors: np.ndarray) -> None:
    answer = server.client.post(
        "/group?group_similarity=-1", content=vectors.tobytes(), headers=OCTETS
    )
    assert answer.status_code == 200
    assert sum(len(group["faces"]) for group in answer.json()["groups"]) == len(vectors)


def test_a_crowd_in_one_frame_is_as_many_people(server: Server) -> None:
    """Nobody may meet anybody, and every place is free to any track of the frame before."""
    vectors = np.tile(np.eye(1, 512, dtype="<f4"), (1000, 1)).tobytes()
    faces = json.dumps([{"time": n // 500, "bbox": [0, 0, 9, 9]} for n in range(1000)])
    answer = server.client.post("/group", files={"embeddings": vectors, "faces": faces.encode()})
    assert len(answer.json()["groups"]) == 500
    assert {len(group["faces"]) for group in answer.json()["groups"]} == {2}
