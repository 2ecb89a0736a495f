"""Decoders that do not come back: replaced, told of, and nothing that holds up the end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress

import httpx
import numpy as np
import pytest
from structlog.contextvars import bound_contextvars, get_contextvars

from face_service.app import create_app
from face_service.config import Settings
from face_service.errors import DecodingStalled, NotReady, StartupError
from face_service.packs.pack import Pack
from face_service.serving import decoders
from face_service.serving.decoders import MAX_STALLED, DecodePool, is_decoding
from tests.images import encode
from tests.server import Server
from tests.wire import metric, settled

STALL_S = 0.2
LONG_S = 30.0
"""Nothing here takes so long unless it hangs."""


@contextmanager
def pool(threads: int = 1, **options: object) -> Iterator[DecodePool]:
    made = DecodePool(threads, STALL_S, **options)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()


def stall(made: DecodePool, until: threading.Event) -> object:
    """A task that has been inside one image for too long; its future."""
    inside = threading.Event()

    def hang() -> None:
        inside.set()
        until.wait(LONG_S)

    future = made.submit(hang)
    assert inside.wait(LONG_S)
    time.sleep(1.5 * STALL_S)
    return future


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Set at the end, so that no thread outlives its test for long."""
    event = threading.Event()
    yield event
    event.set()


def test_a_call_has_its_result_its_error_and_its_context() -> None:
    with pool() as made:
        assert made.submit(divmod, 7, 2).result(LONG_S) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            made.submit(divmod, 7, 0).result(LONG_S)
        with bound_contextvars(request_id="mine"):
            future = made.submit(get_contextvars)
        assert future.result(LONG_S)["request_id"] == "mine"


def test_what_is_cancelled_before_it_begins_never_runs(released: threading.Event) -> None:
    with pool() as made:
        made.submit(released.wait, LONG_S)
        ran = threading.Event()
        future = made.submit(ran.set)
        assert future.cancel()
        released.set()
        made.submit(int).result(LONG_S)
        assert not ran.is_set()


def test_one_that_hangs_is_replaced_and_its_image_has_an_error(released: threading.Event) -> None:
    with pool() as made:
        future = stall(made, released)
        assert not made.complete
        made.look_after()
        assert made.complete
        with pytest.raises(DecodingStalled, match=r"within 0\.2 s"):
            future.result(LONG_S)  # type: ignore[attr-defined]
        assert made.submit(int).result(LONG_S) == 0


def test_one_that_comes_back_late_changes_nothing_and_ends(released: threading.Event) -> None:
    with pool() as made:
        (late,) = (decoder.thread for decoder in made._decoders)
        future = stall(made, released)
        made.look_after()
        released.set()
        late.join(LONG_S)
        assert not late.is_alive()
        assert isinstance(future.exception(0), DecodingStalled)  # type: ignore[attr-defined]


def test_a_few_of_them_end_the_process(released: threading.Event) -> None:
    with pool() as made:
        for _ in range(MAX_STALLED - 1):
            stall(made, released)
            made.look_after()
        stall(made, released)
        with pytest.raises(StartupError, match="have hung within an hour"):
            made.look_after()
        assert made.failure


def test_those_of_long_ago_are_forgotten(
    released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "WITHIN_S", 1.0)
    with pool() as made:
        for pause in (0.0, 0.0, 1.0):
            time.sleep(pause)
            stall(made, released)
            made.look_after()
        assert made.failure is None


def test_a_pause_of_the_process_is_no_stall(released: threading.Event) -> None:
    with pool() as made:
        future = stall(made, released)
        made.look_after(overslept=1.5 * STALL_S)
        assert made.complete
        released.set()
        assert future.result(LONG_S) is None  # type: ignore[attr-defined]


def test_threads_that_cannot_run_are_seen_and_replaced() -> None:
    broken = True

    def initializer() -> None:
        if broken:
            raise PermissionError("setpriority")

    with pool(2, initializer=initializer) as made:
        settled(lambda: len(made) == 0)
        assert not made.complete
        future = made.submit(int)
        broken = False
        made.look_after()
        assert made.complete
        assert future.result(LONG_S) == 0, "what was in line is not lost"


def test_the_watch_survives_what_it_did_not_expect(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[float] = []

    def fail_once(overslept: float) -> None:
        seen.append(overslept)
        if len(seen) == 1:
            raise KeyError("unforeseen")

    async def run() -> None:
        pool = DecodePool(1, 60)
        monkeypatch.setattr(pool, "look_after", fail_once)
        monkeypatch.setattr(decoders, "WATCH_S", 0.01)
        watching = asyncio.create_task(pool.watch())
        while len(seen) < 3 and not watching.done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        watching.cancel()
        pool.close()

    asyncio.run(asyncio.wait_for(run(), 30))
    assert len(seen) >= 3
    assert "goes on" in caplog.text


def test_the_watch_does_all_that(
    released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "WATCH_S", 0.01)

    async def run() -> None:
        with pool() as made:
            watching = asyncio.create_task(made.watch())
            for _ in range(MAX_STALLED):
                with pytest.raises(DecodingStalled):
                    await asyncio.wrap_future(made.submit(released.wait, LONG_S))
            with pytest.raises(StartupError):
                await asyncio.wait_for(watching, LONG_S)

    asyncio.run(run())


def test_without_all_of_them_the_service_is_not_ready(
    starter: Pack, released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "WATCH_S", 3600.0)  # none is replaced meanwhile
    app = create_app(
        Settings(
            _env_file=None,
            insightface_model="starter",
            model_cache_dir=starter.directory.parent,
            stall_timeout_s=1,
        )
    )

    async def until(http: httpx.AsyncClient, status: str, code: int) -> None:
        async with asyncio.timeout(120):
            while (  # noqa: ASYNC110
                answer := await http.get("/health")
            ).json()["status"] != status:
                await asyncio.sleep(0.05)
        assert answer.status_code == code

    async def run() -> None:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://app") as http,
        ):
            await until(http, "healthy", 200)
            hanging = asyncio.create_task(app.state.service.beside(released.wait, LONG_S))
            await until(http, "recovering", 503)
            refused = await http.post("/detect", content=b"")
            assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
            released.set()
            await hanging
            await until(http, "healthy", 200)

    asyncio.run(run())


def test_after_the_end_nothing_runs_and_nothing_waits(released: threading.Event) -> None:
    with pool() as made:
        inside = threading.Event()
        made.submit(lambda: (inside.set(), released.wait(LONG_S)))
        assert inside.wait(LONG_S)
        waiting = made.submit(int)
        started = time.monotonic()
        made.close()
        assert time.monotonic() - started < LONG_S / 2, "who hangs is not waited for"
        with pytest.raises(CancelledError):
            waiting.result(LONG_S)
        with pytest.raises(NotReady):
            made.submit(int)
        assert is_decoding()
    released.set()
    settled(lambda: all(not decoder.thread.is_alive() for decoder in made._decoders))


def post(server: Server, image_format: str) -> httpx.Response:
    data = encode(np.zeros((40, 56, 3), np.uint8), image_format)
    headers = {"Content-Type": f"image/{image_format.lower()}"}
    return httpx.post(f"{server.url}/detect", content=data, headers=headers, timeout=60)


def slow(start_server: Callable[..., Server], **variables: str) -> Server:
    server = start_server(module="tests.hostile.slow_decoder", **variables)
    server.wait_until_ready()
    return server


def test_pictures_that_take_hours_cost_others_the_stall_timeout(
    start_server: Callable[..., Server],
) -> None:
    server = slow(start_server, STALL_TIMEOUT_S="3", REQUEST_TIMEOUT_S="20")
    threads = int(metric(server, "face_service_decoders"))
    hanging = min(threads, MAX_STALLED - 1)
    with ThreadPoolExecutor(hanging + 1) as clients:
        stuck = [clients.submit(post, server, "BMP") for _ in range(hanging)]
        time.sleep(0.5)
        assert clients.submit(post, server, "PNG").result().status_code == 200
        for answer in (future.result() for future in stuck):
            assert answer.status_code == 400
            assert answer.json()["detail"] == "The image could not be decoded within 3 s"
    settled(lambda: metric(server, "face_service_decoders") == threads)
    assert metric(server, "face_service_decoders_lost_total", why="stalled") == hanging
    assert server.client.get("/health").status_code == 200
    for _ in range(MAX_STALLED - hanging):
        with suppress(httpx.TransportError):  # the process ends
            post(server, "BMP")
    assert server.wait_until_ended() == 1
    assert "decoders have hung within an hour" in server.log()
