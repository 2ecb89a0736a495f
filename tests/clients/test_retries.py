"""The Python clients against a server that misbehaves."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import math
import os
import pickle
import random
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

from face_service_client import (
    AsyncClient,
    Client,
    ConnectionFailed,
    DeadlinePassed,
    FaceServiceError,
    InferenceFailed,
    InvalidImage,
    InvalidRequest,
    NotReady,
    Overloaded,
    Refused,
    Retry,
    TimedOut,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
)
from face_service_client import client as client_module
from tests.server import free_port
from tests.wire import settled

from .conftest import Connect
from .misbehaving import EMBEDDING, Misbehaving

AT_ONCE = Retry(base=0)
"""Pauses of nothing but Retry-After."""
ONCE = Retry(attempts=1)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that clients make, which are written down and not waited for."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(client_module, "time", SimpleNamespace(sleep=made.append))
    monkeypatch.setattr(
        client_module,
        "asyncio",
        SimpleNamespace(sleep=sleep, timeout=asyncio.timeout),
    )
    return made


def test_an_answer_is_read(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")
    found = connect(url + "/", api_key="secret").detect(b"image", request_id="mine")
    (face,) = found.faces
    assert face.bbox.tolist() == [1.5, 2.0, 30.25, 40.0]
    assert face.bbox.dtype == face.embedding.dtype == face.landmarks.dtype == np.float32
    assert np.array_equal(face.embedding, EMBEDDING)
    assert face.landmarks.shape == (5, 2)
    assert (face.det_score, face.age, face.gender, face.error) == (0.75, 30, "F", None)
    assert (face.quality, face.usable, face.reasons) == (None, None, None)
    assert (found.image_width, found.image_height, found.model.pack) == (640, 480, "scripted")
    assert found.stages == {"decode": 1.25, "detect": 2.5}
    assert seen[0].headers["Authorization"] == "Bearer secret"
    assert seen[0].headers["X-Request-ID"] == "mine"
    assert seen[0].path.endswith("/detect?embedding_format=base64")


def test_options_are_query_parameters(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")
    connect(url).detect(
        b"image", min_score=0.25, max_faces=2, min_face_size=20, embeddings=False, quality=False
    )
    assert dict(httpx.URL(f"http://x{seen[0].path}").params) == {
        "embedding_format": "none",
        "min_score": "0.25",
        "max_faces": "2",
        "min_face_size": "20",
        "quality": "false",
    }


def test_retry_after_in_seconds_is_waited_for(
    connect: Connect, misbehaving: Misbehaving, pauses: list[float]
) -> None:
    url, seen = misbehaving.script("busy")
    assert connect(url, retry=AT_ONCE).detect(b"image").faces
    assert len(seen) == 2
    assert pauses == [0, 1]


def test_retry_after_as_a_date_is_waited_for(
    connect: Connect, misbehaving: Misbehaving, pauses: list[float]
) -> None:
    url, _ = misbehaving.script("busy-until-a-date")
    connect(url, retry=AT_ONCE).detect(b"image")
    assert pauses == [0, 3], "held against the server's clock, which is an hour wrong"


def test_pauses_grow_and_are_any_part_of_that(
    connect: Connect, misbehaving: Misbehaving, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return high / 2

    monkeypatch.setattr(random, "uniform", uniform)
    url, seen = misbehaving.script("always-busy")
    with pytest.raises(Overloaded) as caught:
        connect(url, retry=Retry(attempts=6, base=0.25, cap=1.5)).detect(b"image")
    assert bounds[:5] == [(0, 0.25), (0, 0.5), (0, 1), (0, 1.5), (0, 1.5)]
    assert pauses == [0, 0.125, 0.25, 0.5, 0.75, 0.75]
    assert len(seen) == caught.value.attempts == 6
    assert len({one.headers["X-Request-ID"] for one in seen}) == 1, "one call, one id"


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(
    ("script", "attempts"),
    [
        ("not-ready-then-well", 2),
        ("each-once", 5),
        ("reset-while-reading", 2),
        ("reset-while-answering", 2),
        ("hang-up-while-answering", 2),
    ],
)
def test_what_may_pass_is_tried_again(
    connect: Connect, misbehaving: Misbehaving, script: str, attempts: int, tmp_path: Path
) -> None:
    image = tmp_path / "frame.jpg"
    image.write_bytes(os.urandom(700_000))
    url, seen = misbehaving.script(script)
    assert connect(url).detect(image).faces
    assert len(seen) == attempts
    assert seen[-1].received > 700_000, "the file from its beginning"


@pytest.mark.parametrize(
    ("script", "kind", "status", "code"),
    [
        ("no-image", InvalidImage, 400, "invalid_image"),
        ("bad-request", InvalidRequest, 400, "invalid_request"),
        ("no-key", Unauthorized, 401, "unauthorized"),
        ("not-found", Refused, 404, "not_found"),
        ("too-large", TooLarge, 413, "too_large"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(
    connect: Connect,
    misbehaving: Misbehaving,
    pauses: list[float],
    script: str,
    kind: type[FaceServiceError],
    status: int,
    code: str,
) -> None:
    url, seen = misbehaving.script(script)
    with pytest.raises(Refused) as caught:
        connect(url).detect(b"image", request_id="mine")
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.request_id) == (status, code, "mine")
    assert error.detail == f"Scripted {status}"
    assert str(error) == f"Scripted {status} ({status} {code}, request mine, sent once)"
    assert len(seen) == error.attempts == len(pauses) == 1


@pytest.mark.parametrize(
    ("script", "kind", "status", "code"),
    [
        ("always-busy", Overloaded, 429, "overloaded"),
        ("failing", InferenceFailed, 500, "inference_failed"),
        ("proxy-without-backend", Unavailable, 502, "http_502"),
        ("not-ready", NotReady, 503, "not_ready"),
        ("late", DeadlinePassed, 504, "deadline_passed"),
    ],
)
def test_the_last_error_is_raised_when_attempts_are_used_up(
    connect: Connect,
    misbehaving: Misbehaving,
    script: str,
    kind: type[FaceServiceError],
    status: int,
    code: str,
) -> None:
    url, seen = misbehaving.script(script)
    with pytest.raises(Unavailable) as caught:
        connect(url, retry=Retry(attempts=3, base=0)).detect(b"image")
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code, caught.value.note) == (status, code, "")
    assert len(seen) == caught.value.attempts == 3


@pytest.mark.parametrize("script", ["somebody-else", "somebody-elses-404"])
def test_a_page_of_somebody_else_is_named(
    connect: Connect, misbehaving: Misbehaving, script: str
) -> None:
    url, seen = misbehaving.script(script)
    with pytest.raises(UnexpectedAnswer, match="nginx"):
        connect(url).detect(b"image")
    assert len(seen) == 1


def test_nobody_there(connect: Connect, pauses: list[float]) -> None:
    client = connect(f"http://127.0.0.1:{free_port()}", retry=Retry(attempts=3, base=0))
    with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1") as caught:
        client.detect(iter([b"image"]))
    assert caught.value.attempts == len(pauses) == 3, "nothing of the iterator was read"
    assert caught.value.status is None
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    assert client.ready() is False


@pytest.mark.usefixtures("pauses")
def test_silence_is_a_timeout_and_tried_again(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("silence-then-well")
    assert connect(url, timeout=0.2).detect(b"image").faces
    assert len(seen) == 2
    settled(lambda: seen[0].left)


@pytest.mark.usefixtures("pauses")
def test_silence_to_the_end_is_timed_out(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("silence")
    with pytest.raises(TimedOut) as caught:
        connect(url, timeout=0.1, retry=Retry(attempts=2)).detect(b"image", request_id="mine")
    assert (caught.value.attempts, caught.value.request_id, len(seen)) == (2, "mine", 2)


@pytest.mark.parametrize("script", ["silence", "drip"])
def test_the_deadline_ends_a_call_in_the_middle(
    connect: Connect, misbehaving: Misbehaving, script: str
) -> None:
    url, seen = misbehaving.script(script)
    with pytest.raises(TimedOut):
        connect(url, deadline=0.3, retry=ONCE).detect(b"image")
    settled(lambda: seen[0].left)


def test_a_call_may_have_all_the_time_of_the_world(
    connect: Connect, misbehaving: Misbehaving
) -> None:
    url, _ = misbehaving.script("well")
    assert connect(url, timeout=math.inf, deadline=math.inf).detect(b"image").faces


def test_a_call_without_time_is_not_sent(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")
    with pytest.raises(TimedOut):
        connect(url, deadline=0).detect(b"image")
    assert not seen


def test_no_pause_is_longer_than_the_deadline(
    connect: Connect, misbehaving: Misbehaving, pauses: list[float]
) -> None:
    url, seen = misbehaving.script("busy-for-an-hour")
    with pytest.raises(Overloaded, match="deadline of 20 s") as caught:
        connect(url, deadline=20).detect(b"image")
    assert caught.value.attempts == len(seen) == len(pauses) == 1


@pytest.fixture(params=["iterator", "pipe"])
def readable_once(request: pytest.FixtureRequest) -> Iterator[object]:
    """An image that can be read only once."""
    if request.param == "iterator":
        yield iter([b"image"])
        return
    reading, writing = os.pipe()
    os.write(writing, b"image")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        yield pipe


@pytest.mark.usefixtures("pauses")
def test_what_can_be_read_once_is_sent_once_and_that_is_said(
    connect: Connect, misbehaving: Misbehaving, readable_once: Any
) -> None:
    url, seen = misbehaving.script("not-ready-then-well")
    with pytest.raises(NotReady, match="can be read only once") as caught:
        connect(url).detect(readable_once)
    assert caught.value.attempts == len(seen) == 1


def images_of(content: bytes, folder: Path) -> dict[str, Any]:
    """An image in every dress that can be read again."""
    path, longer = folder / "frame.jpg", folder / "longer"
    path.write_bytes(content)
    longer.write_bytes(b"skip" + content)
    begun = longer.open("rb")
    begun.seek(4)
    return {
        "str": str(path),
        "path": path,
        "file": path.open("rb"),
        "file from its middle": begun,
        "pieces": [content[:7], content[7:]],
        "memoryview": memoryview(content),
    }


DRESSES = ["str", "path", "file", "file from its middle", "pieces", "memoryview"]


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("dress", DRESSES)
def test_what_can_be_read_again_is_sent_whole_again(
    connect: Connect, misbehaving: Misbehaving, dress: str, tmp_path: Path
) -> None:
    images = images_of(os.urandom(300_001), tmp_path)
    url, seen = misbehaving.script("not-ready-then-well")
    connect(url).detect(images[dress])
    first, second = seen
    assert first.received > 300_001
    assert (first.received, first.sha256) == (second.received, second.sha256)
    if dress != "pieces":
        assert int(first.headers["Content-Length"]) == first.received
    for name in ("file", "file from its middle"):
        assert not images[name].closed
        images[name].close()


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("dress", DRESSES[1:])
def test_base64_is_made_while_it_is_sent(
    connect: Connect, misbehaving: Misbehaving, dress: str, tmp_path: Path
) -> None:
    content = os.urandom(600_001)
    images = images_of(content, tmp_path)
    url, seen = misbehaving.script("not-ready-then-well")
    connect(url).extract_embedding(images[dress])
    whole = json.dumps({"image_base64": base64.b64encode(content).decode()}).encode()
    assert [one.sha256 for one in seen] == [hashlib.sha256(whole).hexdigest()] * 2
    for name in ("file", "file from its middle"):
        images[name].close()


def test_an_iterator_is_sent_while_it_is_made(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")

    def frames() -> Iterator[bytes]:
        yield b"a" * 100_000
        settled(lambda: bool(seen) and seen[0].received >= 100_000)
        yield b"b" * 100_000

    connect(url).detect(frames())
    assert seen[0].received > 200_000
    assert seen[0].headers["Transfer-Encoding"] == "chunked"


def test_a_big_file_is_never_in_memory(
    connect: Connect, misbehaving: Misbehaving, tmp_path: Path
) -> None:
    size = 300_000_000
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(size)
    url, seen = misbehaving.script("well")
    client = connect(url, timeout=60)
    tracemalloc.start()
    try:
        client.detect(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen[0].received > size
    assert peak < size / 20


def test_a_missing_file_is_a_missing_file(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")
    with pytest.raises(FileNotFoundError):
        connect(url).detect("nowhere.jpg")
    assert not seen


def test_what_is_no_image_is_said_before_anything_is_sent(
    connect: Connect, misbehaving: Misbehaving, tmp_path: Path
) -> None:
    url, seen = misbehaving.script("well")
    (tmp_path / "text").write_text("text")
    with pytest.raises(TypeError, match="binary mode"), (tmp_path / "text").open() as file:
        connect(url).detect(file)
    with pytest.raises(TypeError, match="not 7"):
        connect(url).detect(7)
    with pytest.raises(TypeError, match="several images"):
        connect(url).detect_batch(b"one")
    assert not seen


def test_a_name_cannot_break_out_of_its_header(
    connect: Connect, misbehaving: Misbehaving, tmp_path: Path
) -> None:
    sizes = []
    for name in ("a%22; x=%22", 'a"; x="'):
        (tmp_path / name).write_bytes(b"image")
        url, seen = misbehaving.script("well")
        connect(url).detect(tmp_path / name)
        sizes.append(seen[0].received)
    assert sizes[0] == sizes[1]


def test_an_error_survives_pickling(misbehaving: Misbehaving) -> None:
    url, _ = misbehaving.script("no-key")
    with Client(url) as client, pytest.raises(Unauthorized) as caught:
        client.detect(b"image")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), vars(again)) == (Unauthorized, vars(caught.value))


def test_a_client_may_be_shared_by_threads(misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")
    found: list[int] = []
    with Client(url) as client:
        threads = [
            threading.Thread(
                target=lambda: found.append(len(client.detect(io.BytesIO(b"x")).faces))
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [1] * 8
    assert len(seen) == 8


def test_a_cancelled_call_hangs_up_and_its_client_lives_on(misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("silence-then-well")

    async def cancel() -> None:
        async with AsyncClient(url) as client:
            call = asyncio.create_task(client.detect(b"image"))
            await asyncio.to_thread(settled, lambda: bool(seen) and seen[0].received > 0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.to_thread(settled, lambda: seen[0].left)
            assert (await client.detect(b"image")).faces

    asyncio.run(cancel())
    assert len(seen) == 2


def test_the_event_loop_runs_while_a_file_is_read(misbehaving: Misbehaving) -> None:
    url, _ = misbehaving.script("well")

    ticked = threading.Event()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert ticked.wait(30), "the loop stands still"
            return super().read(size)

    async def both() -> None:
        async with AsyncClient(url) as client:
            call = asyncio.create_task(client.detect(Slow(b"image")))
            await asyncio.sleep(0.1)
            ticked.set()
            assert (await call).faces

    asyncio.run(both())


def test_an_asynchronous_iterator_is_sent(misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a" * 1000
        await asyncio.sleep(0)
        yield b"b" * 1000

    async def send() -> None:
        async with AsyncClient(url) as client:
            await client.detect(pieces())
            await client.extract_embedding(pieces())

    asyncio.run(send())
    assert [one.received > 2000 for one in seen] == [True, True]
    with Client(url) as client, pytest.raises(TypeError, match="AsyncClient"):
        client.detect(pieces())  # type: ignore[arg-type]


def test_an_http_client_of_ones_own_stays_open(misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")
    with httpx.Client(headers={"X-Mine": "1"}) as http:
        with Client(url, http=http) as client:
            client.detect(b"image")
        assert not http.is_closed
    assert seen[0].headers["X-Mine"] == "1"


def test_attempts_are_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Retry(attempts=0)
