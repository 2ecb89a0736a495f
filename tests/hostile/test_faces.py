"""Thousands of candidates, crowds by the dozen, clients that leave: the work and the memory of a
request have a bound, it ends when nobody waits for it, and others are served meanwhile."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from face_service.tools.bench.server import peak_rss_mb
from tests.images import encode
from tests.server import Server
from tests.wire import metric, settled

MAX_FACES = 8
CROWD = (Path(__file__).parents[2] / "docs" / "images" / "solvay.jpg").read_bytes()
"""29 faces, in 260 kB."""
FOUND = 28
"""Of them, by the pack of `start_server`."""


def noise() -> bytes:
    """A PNG of 64×64 pixels in which a `min_score` of 0 finds a thousand faces."""
    return encode(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8), "PNG")


@pytest.fixture(scope="module")
def photo(solvay: Path) -> bytes:
    """A small crowd: Solvay 1927 at 1200×868, 29 faces."""
    return encode(cv2.resize(cv2.imread(str(solvay)), (1200, 868)), "JPEG", quality=95)


@pytest.fixture(scope="module")
def strict(start_server: Callable[..., Server]) -> Server:
    """A server that answers with few faces, so that the tests end soon."""
    server = start_server(MAX_FACES=str(MAX_FACES), REQUEST_TIMEOUT_S="120")
    server.wait_until_ready()
    return server


@pytest.mark.parametrize("picture", ["photo", "noise"])
def test_an_image_has_at_most_max_faces_and_the_answer_says_what_that_cost(
    strict: Server, photo: bytes, picture: str
) -> None:
    data = photo if picture == "photo" else noise()
    post = {"url": "/detect", "files": {"file": data}}
    answer = strict.client.post(**post, params={"min_score": 0, "embedding_format": "none"})
    body = answer.json()
    assert (answer.status_code, len(body["faces"])) == (200, MAX_FACES)
    assert body["faces_omitted"] > 500
    scores = [face["det_score"] for face in body["faces"]]
    assert scores == sorted(scores, reverse=True)
    if picture == "photo":
        assert scores[0] > 0.5, "the best are kept, whatever comes behind them"
    fewer = strict.client.post(**post, params={"min_score": 0, "max_faces": 3}).json()
    assert (len(fewer["faces"]), fewer["faces_omitted"]) == (3, 0)
    assert strict.client.post(**post, params={"min_score": 1}).json()["faces_omitted"] == 0


def test_a_batch_of_noise_costs_each_file_its_bound(strict: Server) -> None:
    answer = strict.client.post(
        "/detect/batch",
        files=[("files", noise())] * 5,
        params={"min_score": 0, "embedding_format": "none"},
    )
    results = answer.json()["results"]
    assert [len(result["faces"]) for result in results] == [MAX_FACES] * 5
    assert all(result["faces_omitted"] > 500 for result in results)


def test_compare_says_it_of_either_image(strict: Server, photo: bytes) -> None:
    body = strict.client.post("/compare", files={"file_a": photo, "file_b": noise()}).json()
    assert (len(body["a"]["faces"]), body["a"]["faces_omitted"]) == (MAX_FACES, 29 - MAX_FACES)
    assert (body["b"]["faces"], body["b"]["faces_omitted"]) == ([], 0)


@contextmanager
def waiting_for(
    server: Server, path: str, files: Sequence[tuple[str, bytes]], **options: Any
) -> Iterator[None]:
    """Somebody who sends a request, waits for the length of the block, and leaves."""
    request = httpx.Request("POST", f"{server.url}{path}", params=options, files=files)
    head = (
        f"POST {request.url.raw_path.decode()} HTTP/1.1\r\nhost: x\r\n"
        f"content-type: {request.headers['content-type']}\r\n"
        f"content-length: {request.headers['content-length']}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(head.encode() + request.read())
        yield


def test_a_crowd_of_files_ends_when_its_client_leaves(
    start_server: Callable[..., Server],
) -> None:
    """32 photos with 29 faces each are 928: at the time of the first, somebody else is served."""
    server = start_server(REQUEST_TIMEOUT_S="300")
    server.wait_until_ready()
    with waiting_for(server, "/detect/batch", [("files", CROWD)] * 32):
        settled(lambda: metric(server, "face_service_batch_images_count") >= 1)
    settled(lambda: metric(server, "face_service_requests_inside") == 0)
    settled(lambda: metric(server, "face_service_decoded_bytes") == 0)
    gone = {"where": "computing", "why": "client"}
    assert metric(server, "face_service_cancelled_total", **gone) >= 1
    assert metric(server, "face_service_cancelled_total", why="deadline") == 0
    begun = metric(server, "face_service_batch_images_sum")
    assert begun <= 4, "computed for nobody"
    assert server.client.post("/detect", files={"file": CROWD}).status_code == 200
    assert metric(server, "face_service_batch_images_sum") == begun + 1
    assert server.stop() == 0, server.log()


def test_a_deadline_ends_the_work_as_well(start_server: Callable[..., Server]) -> None:
    """Four crowds are 52 runs of networks, half a minute on an engine as slow as this one."""
    server = start_server("tests.faulty", REQUEST_TIMEOUT_S="6")
    server.wait_until_ready()
    (server.folder / "fault").write_text("slow")
    answer = server.client.post("/detect/batch", files=[("files", CROWD)] * 4)
    assert answer.status_code == 504
    settled(lambda: metric(server, "face_service_decoded_bytes") == 0)
    late = {"where": "computing", "why": "deadline"}
    assert metric(server, "face_service_cancelled_total", **late) >= 1
    assert metric(server, "face_service_cancelled_total", why="client") == 0
    assert metric(server, "face_service_expired_total") == 1
    server.stop()


def peak(server: Server) -> float:
    """The most memory that the process had so far, in MB; weights that two sessions map, once."""
    measured = peak_rss_mb(server.process.pid)
    assert measured is not None
    return measured


@pytest.mark.parametrize(
    ("path", "files", "options"),
    [
        pytest.param("/detect", 1, {"min_score": 0}, id="a thousand faces"),
        pytest.param("/detect/batch", 32, {}, id="32 crowds"),
        pytest.param("/detect/batch", 32, {"min_score": 0}, id="32 times a thousand faces"),
    ],
)
def test_others_are_served_beside_it_in_the_memory_there_was(
    start_server: Callable[..., Server],
    path: str,
    files: int,
    options: dict[str, Any],
) -> None:
    if sys.platform != "linux":
        pytest.skip("the peak of a process's memory is read from /proc")
    server = start_server(REQUEST_TIMEOUT_S="300")
    server.wait_until_ready()
    with ThreadPoolExecutor(4) as clients:  # so that both workers have work at the same time
        for answer in clients.map(lambda data: server.client.post("/detect", files={"file": data}),
                                  [CROWD] * 8):  # fmt: skip
            assert answer.status_code == 200
    warm, bodies = peak(server), files * len(CROWD) / 1e6
    field = "file" if files == 1 else "files"
    with waiting_for(server, path, [(field, CROWD)] * files, **options):
        settled(lambda: metric(server, "face_service_batch_images_count") >= 3)
        for _ in range(3):
            answer = server.client.post("/detect", files={"file": CROWD})
            assert len(answer.json()["faces"]) == FOUND
        assert metric(server, "face_service_requests_inside") == 1, "it is still being computed"
        highest = peak(server)
    settled(lambda: metric(server, "face_service_requests_inside") == 0)
    settled(lambda: metric(server, "face_service_decoded_bytes") == 0)
    assert metric(server, "face_service_engines_lost_total") == 0
    assert highest <= 1.3 * warm + 2 * bodies, f"{warm:.0f} MB before, {highest:.0f} MB beside it"
    assert server.stop() == 0, server.log()
