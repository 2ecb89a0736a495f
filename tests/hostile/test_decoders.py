"""Decoders that do not come back: replaced, told of, and nothing that holds up the end."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, contextmanager

import pytest
from structlog.contextvars import bound_contextvars, get_contextvars

from face_service.errors import DecodingStalled, NotReady, StartupError
from face_service.runtime.threads import lower_thread_priority
from face_service.serving import decoders, stall_clock
from face_service.serving.decoders import MAX_STALLED, DecodePool, is_decoding
from tests.wire import settled

STALL_S = 0.2
LONG_S = 30.0
"""Nothing here takes so long unless it hangs."""


@contextmanager
def pool(threads: int = 1, stall: float = STALL_S, **options: object) -> Iterator[DecodePool]:
    made = DecodePool(threads, stall, **options)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()


def hang(made: DecodePool, until: threading.Event) -> Future[bool]:
    """A task that is inside one image, and stays there."""
    inside = threading.Event()

    def call() -> bool:
        inside.set()
        return until.wait(LONG_S)

    future = made.submit(call)
    assert inside.wait(LONG_S)
    return future


def look(made: DecodePool, future: Future[bool]) -> None:
    """Look at the threads until one task is done or given up."""
    while not future.done():
        time.sleep(0.01)
        made.look_after()


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
        (hung,) = made._decoders
        look(made, future := hang(made, released))
        assert made.complete
        assert hung not in made._decoders
        with pytest.raises(DecodingStalled, match=r"within 0\.2 s"):
            future.result(LONG_S)
        assert made.submit(int).result(LONG_S) == 0


def test_one_that_computes_without_end_is_replaced_as_well(released: threading.Event) -> None:
    def compute() -> None:
        while not released.is_set():
            hashlib.pbkdf2_hmac("sha256", b"", b"", 10_000)

    with pool() as made:
        look(made, future := made.submit(compute))
        assert isinstance(future.exception(0), DecodingStalled)


BUSY = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone says what a thread waits for")
def test_one_that_waits_for_a_processor_has_not_hung() -> None:
    """On a processor that others want as well, what takes a tenth of a second takes seconds."""
    cpu, stall = min(os.sched_getaffinity(0)), 1.0

    def initializer() -> None:
        lower_thread_priority()
        os.sched_setaffinity(threading.get_native_id(), {cpu})

    def compute() -> float:
        until = time.monotonic() + 3 * stall
        while time.monotonic() < until:
            hashlib.pbkdf2_hmac("sha256", b"", b"", 10_000)  # beside the interpreter
        return time.thread_time()

    with pool(stall=stall, initializer=initializer) as made, ExitStack() as stack:
        for _ in range(3):
            busy = stack.enter_context(subprocess.Popen([sys.executable, "-c", BUSY, str(cpu)]))
            stack.callback(busy.kill)
        look(made, future := made.submit(compute))
        assert future.result(LONG_S) < stall, "nobody was in its way"


def test_one_that_comes_back_late_changes_nothing_and_ends(released: threading.Event) -> None:
    with pool() as made:
        (late,) = (decoder.thread for decoder in made._decoders)
        look(made, future := hang(made, released))
        released.set()
        late.join(LONG_S)
        assert not late.is_alive()
        assert isinstance(future.exception(0), DecodingStalled)


def test_one_that_comes_back_in_the_last_moment_keeps_its_next_image(
    released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a thread and its end it may have begun another image."""
    second: list[Future[bool]] = []
    go_on = threading.Event()

    def error(text: str) -> DecodingStalled:
        if not second:
            released.set()
            second.append(hang(made, go_on))
        return DecodingStalled(text)

    with pool() as made:
        before = list(made._decoders)
        first = hang(made, released)
        monkeypatch.setattr(decoders, "DecodingStalled", error)
        while not second:
            time.sleep(1.5 * STALL_S)
            made.look_after()
        assert first.result(LONG_S), "it was in time"
        assert made._decoders == before, "it is watched further"
        go_on.set()
        assert second[0].result(LONG_S), "it had just begun"
        assert made.submit(int).result(LONG_S) == 0


def test_a_few_of_them_end_the_process(released: threading.Event) -> None:
    with pool() as made:
        for _ in range(MAX_STALLED - 1):
            look(made, hang(made, released))
        with pytest.raises(StartupError, match="have hung within an hour"):
            look(made, hang(made, released))
        assert made.failure


def test_those_of_long_ago_are_forgotten(
    released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "WITHIN_S", 1.0)
    with pool() as made:
        for pause in (0.0, 0.0, 1.0):
            time.sleep(pause)
            look(made, hang(made, released))
        assert made.failure is None


def test_a_pause_of_the_process_is_no_stall(
    released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(stall_clock.time, "monotonic", lambda: now)
    with pool(stall=20) as made:
        future = hang(made, released)
        made.look_after()
        now += 3600
        made.look_after()
        assert made.complete
        released.set()
        assert future.result(LONG_S)


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
    seen: list[None] = []

    def fail_once() -> None:
        seen.append(None)
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
