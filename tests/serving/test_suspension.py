"""What takes long is suspended: newcomers before it, and neither starves."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from face_service.face_engine import Options
from face_service.observability.metrics import Metrics
from face_service.serving.queue import QueueEntry, RequestQueue
from face_service.serving.worker import EngineWorker
from tests.wire import settled

from .engines import FakeEngine, entry, prepared
from .pools import ask, pool_of


def beside(engine: FakeEngine, long: list[QueueEntry], start_at: int, newcomers: int) -> list[str]:
    """What ran when: "long" or the newcomer's number, where `newcomers` come one after the other
    as soon as the long ones have had `start_at` runs."""
    queue = RequestQueue()
    started = threading.Event()
    worker = EngineWorker(engine, queue, Metrics())

    def come() -> None:
        if len(engine.runs) == start_at:
            for number in range(newcomers):
                queue.append(entry(f"new {number}"))
            started.set()

    engine.after_run = come
    for one in long:
        queue.append(one)
    worker.start()
    assert started.wait(30)
    queue.close()
    worker._thread.join(30)
    assert not worker._thread.is_alive()
    assert all(one.future.result().results for one in long)
    return [str(names[0]) for _, names in engine.runs]


def long_or_short(name: object) -> int:
    return 2 if str(name).startswith("new") else 500


@pytest.mark.parametrize("during", [1, 2, 3, 15, 16, 17, 40, 126])
def test_a_newcomer_waits_for_one_run_of_what_takes_long(during: int) -> None:
    """Beside a photo with 500 faces, 127 runs, whichever of them runs when it comes."""
    order = beside(FakeEngine(long_or_short), [entry("long")], start_at=during, newcomers=1)
    assert order[: during + 4] == ["long"] * during + ["new 0"] * 3 + ["long"]
    assert order.count("long") == 1 + 2 * 63


@pytest.mark.parametrize(("allowance", "known_after"), [(16, 2), (1, 0)])
def test_of_several_images_what_is_known_counts(allowance: int, known_after: int) -> None:
    """8 photos with 29 faces: after two of them 8 passes and 16 runs for 58 faces. As the first of
    32, which are more than 16 passes, they are known to take long at once."""
    engine = FakeEngine(lambda name: 2 if name == "new 0" else 29)
    for during in range(1, 12):
        engine.runs.clear()
        crowds = [entry(*["long"] * 8, allowance=allowance)]
        order = beside(engine, crowds, start_at=during, newcomers=1)
        assert order.index("new 0") == max(during, known_after)


def test_an_entry_that_needs_its_allowance_and_no_more_is_not_interrupted() -> None:
    """16 runs: two images, 56 faces. One face more takes a piece more."""
    for faces, waits in ((28, 16), (29, 2)):
        engine = FakeEngine(lambda name, faces=faces: faces if name == "long" else 1)
        order = beside(engine, [entry("long", "long")], start_at=1, newcomers=1)
        assert order.index("new 0") == waits


def test_only_what_is_asked_for_counts() -> None:
    """120 faces are 15 runs more where only embeddings are wanted, else 30."""
    engine = FakeEngine(lambda name: 120 if name == "long" else 1)
    engine.runs_per_piece = lambda options: options.embeddings + options.attributes
    for options, interrupted in ((Options(attributes=False), False), (Options(), True)):
        engine.runs.clear()
        long = QueueEntry([prepared("long", options)])
        order = beside(engine, [long], start_at=1, newcomers=1)
        assert (order.index("new 0") == 1) == interrupted


def test_those_in_a_batch_with_what_takes_long_are_answered_before_it() -> None:
    """On an accelerator, where a worker takes several requests at once."""
    engine = FakeEngine(lambda name: 500 if name == "long" else 2)
    engine.max_batch_images = 4
    together = [entry(name) for name in ("long", "a", "b", "c")]
    order = beside(engine, together, start_at=1, newcomers=1)
    assert order[:4] == ["long", "a", "b", "c"], "the detector"
    assert order[4:6] == ["a", "a"], "one piece: their faces, and two of the long one's"
    assert order[6:9] == ["new 0"] * 3
    assert set(order[9:]) == {"long"}


def test_neither_newcomers_nor_what_takes_long_starve() -> None:
    order = beside(FakeEngine(long_or_short), [entry("long")], start_at=40, newcomers=30)
    then = order[40 : 40 + 4 * 30]
    assert then == [name for n in range(30) for name in (*[f"new {n}"] * 3, "long")]


def test_several_that_take_long_go_on_in_turn() -> None:
    long = [entry("long a"), entry("long b")]
    order = beside(FakeEngine(long_or_short), long, start_at=60, newcomers=2)
    assert order[:6] == ["long a", "long b", "long a", "long b", "long a", "long b"]
    assert order[60:68] == [
        "new 0", "new 0", "new 0", "long a", "new 1", "new 1", "new 1", "long b",
    ]  # fmt: skip


def test_what_takes_long_does_not_wait_for_others_that_do() -> None:
    """A stream of long ones, as many as MAX_QUEUE lets in: each is looked at once, then all go
    on in turn."""
    order = beside(FakeEngine(lambda _: 100), [entry(n) for n in range(64)], 70, newcomers=0)
    assert order[: 3 * 64] == [str(n) for n in range(64)] * 3


def test_ordinary_requests_are_not_interrupted() -> None:
    """29 faces, as in a photo of a conference: nine runs, and the next one's nine."""
    engine = FakeEngine(lambda _: 29)
    photos = [entry(n) for n in range(6)]
    order = beside(engine, photos, start_at=3, newcomers=0)
    assert order == [str(n) for n in range(6) for _ in range(9)]


def test_what_continues_a_request_waits_for_newcomers_at_once() -> None:
    """The later parts of a batch of files: every run of theirs may be followed by a newcomer."""
    parts = [entry("long", allowance=0)]
    order = beside(FakeEngine(long_or_short), parts, start_at=2, newcomers=1)
    assert order[:5] == ["long", "long", "new 0", "new 0", "new 0"]


def test_a_suspended_entry_says_so_once() -> None:
    said: list[str] = []
    long = entry("long", on_suspended=lambda _: said.append("long"))
    short = entry("new", on_suspended=lambda _: said.append("new"))
    beside(FakeEngine(long_or_short), [long, short], start_at=1, newcomers=0)
    assert said == ["long"]


def test_new_work_goes_to_an_idle_worker_and_not_to_one_with_suspended_work() -> None:
    first, second = FakeEngine(long_or_short), FakeEngine(long_or_short)
    first.after_run = lambda: time.sleep(0.01)

    async def run() -> None:
        pool = pool_of(first, second)
        long = asyncio.create_task(ask(pool, "long"))
        await asyncio.to_thread(settled, lambda: len(first.runs) > 3)
        for name in range(5):
            await ask(pool, f"new {name}")
            await asyncio.to_thread(settled, lambda: pool.queue.busy <= 1)
        await long

    asyncio.run(run())
    assert second.detected == [f"new {name}" for name in range(5)]
