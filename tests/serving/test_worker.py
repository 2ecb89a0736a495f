"""Workers: in order, each answer to its own asker, cancelled work never run, batches formed;
newcomers before what takes long, and neither starves."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest

from face_service.errors import EngineLost, InferenceFailed
from face_service.face_engine import Options, PreparedImage
from face_service.observability.metrics import Metrics
from face_service.serving.cancelling import DEADLINE
from face_service.serving.queue import ImageResult, Prediction, QueueEntry, RequestQueue
from face_service.serving.worker import EngineWorker, WorkerPool
from tests.wire import settled

from .engines import POISON, FakeEngine, Unsound, entry, prepared


def pool_of(*engines: FakeEngine, batch: int = 1) -> WorkerPool:
    pool = WorkerPool(Metrics())
    for engine in engines:
        engine.max_batch_images = batch
        pool.add(engine)
    return pool


async def ask(pool: WorkerPool, *names: object) -> list[ImageResult]:
    return (await pool.run(entry(*names))).results


def ages(results: list[ImageResult]) -> list[list[object] | type[Exception]]:
    """The names of the images, as their faces say them."""
    return [
        type(result) if isinstance(result, Exception) else [face.age for face in result.faces]
        for result in results
    ]


async def queued(count: int) -> None:
    """Let tasks that were just created get as far as the queue."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_work_runs_in_order_and_one_at_a_time() -> None:
    engine = FakeEngine(lambda _: 1)

    async def run() -> list[list[ImageResult]]:
        pool = pool_of(engine)
        return await asyncio.gather(*(ask(pool, n) for n in range(200, 400)))

    assert [ages(results) for results in asyncio.run(run())] == [[[n]] for n in range(200, 400)]
    assert engine.detected == list(range(200, 400))
    assert engine.most_inside == 1


def test_a_worker_whose_thread_ends_is_seen_and_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def raise_memory_error(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(RequestQueue, "next_batch", raise_memory_error)
    pool = pool_of(FakeEngine())
    settled(lambda: pool._workers[0].broken)
    assert pool.remove_failed(60) == (1, 0)
    settled(lambda: "A worker has ended" in caplog.text)


class Full(Future[Prediction]):
    """There is no memory in the moment when a worker takes it."""

    def set_running_or_notify_cancel(self) -> bool:
        raise MemoryError


def test_what_a_worker_had_taken_when_its_thread_ended_is_answered() -> None:
    async def run() -> None:
        pool = pool_of(FakeEngine(), batch=8)
        (worker,) = pool._workers
        with pool.queue._changed:  # both are there when it looks
            asking = [asyncio.create_task(ask(pool, 1))]
            failing = entry(2, future=Full())
            pool.queue._waiting.extend([entry(0), failing])
            pool.queue._changed.notify()
        await asyncio.to_thread(worker._thread.join, 10)
        assert not worker._thread.is_alive()
        assert pool.remove_failed(60) == (1, 0)
        assert ages(failing.future.result(0).results) == [EngineLost]
        other = FakeEngine(lambda _: 1)
        pool.add(other)
        assert ages(await asking[0]) == [[1]]
        assert other.detected == [1]

    asyncio.run(asyncio.wait_for(run(), 30))


def test_a_worker_that_ends_otherwise_than_by_an_error_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def end(*_: object, **__: object) -> None:
        raise SystemExit

    monkeypatch.setattr(RequestQueue, "next_batch", end)
    pool = pool_of(FakeEngine())
    settled(lambda: pool.remove_failed(60) == (1, 0))


def test_what_waits_is_taken_in_one_batch_where_the_provider_likes_it() -> None:
    engine = FakeEngine(lambda _: 1)
    engine.gate.clear()

    async def run() -> list[list[ImageResult]]:
        pool = pool_of(engine, batch=4)
        first = asyncio.create_task(ask(pool, "a"))
        await asyncio.to_thread(engine.entered.wait, 10)
        rest = [asyncio.create_task(ask(pool, *name)) for name in ("b", "cd", "e", "f", "g")]
        await queued(3)
        engine.gate.set()
        return [await first, *(await asyncio.gather(*rest))]

    answers = [ages(results) for results in asyncio.run(run())]
    embedded = [names for kind, names in engine.runs if kind == "embed"]
    assert embedded == [["a"], ["b", "c", "d", "e"], ["f", "g"]]
    assert answers == [[["a"]], [["b"]], [["c"], ["d"]], [["e"]], [["f"]], [["g"]]]


def test_faces_are_described_in_pieces_across_the_images_of_a_batch() -> None:
    faces = {"a": 5, "b": 0, "c": 13}
    engine = FakeEngine(lambda name: faces[name])

    async def run() -> list[ImageResult]:
        return await ask(pool_of(engine), *faces)

    assert ages(asyncio.run(run())) == [["a"] * 5, [], ["c"] * 13]
    pieces = [names for kind, names in engine.runs if kind == "embed"]
    assert pieces == [["a"] * 5 + ["c"] * 3, ["c"] * 8, ["c"] * 2]


def test_only_faces_of_which_the_same_is_wanted_are_described_together() -> None:
    engine = FakeEngine(lambda _: 2)

    async def run() -> None:
        pool = pool_of(engine)
        images = [prepared(1), prepared(2, Options(attributes=False)), prepared(3)]
        assert ages((await pool.run(QueueEntry(images))).results) == [[1, 1], [2, 2], [3, 3]]

    asyncio.run(run())
    assert [names for kind, names in engine.runs if kind == "embed"] == [[1, 1, 3, 3], [2, 2]]


@pytest.mark.parametrize("batch", [1, 8])
def test_a_poisoned_image_costs_only_itself_and_only_its_run_is_repeated(batch: int) -> None:
    """Eight images of two faces, of which the third fails where it is embedded: the run that it
    shared with three others is repeated, and nothing else."""

    class Poisoned(FakeEngine):
        def run(self, kind: str, names: list[object]) -> None:
            super().run(kind, [n for n in names if kind == "embed" or n != POISON])

    engine = Poisoned(lambda _: 2)

    async def run() -> list[ImageResult]:
        return await ask(pool_of(engine, batch=batch), 1, 2, POISON, 4, 5, 6, 7, 8)

    found = ages(asyncio.run(run()))
    assert found == [RuntimeError if n == 3 else [n, n] for n in range(1, 9)]
    embedded = [names for kind, names in engine.runs if kind == "embed"]
    shared = [1, 1, 2, 2, POISON, POISON, 4, 4]
    assert embedded == [
        shared, [1, 1], [2, 2], [POISON] * 2, [4, 4], [5, 5, 6, 6, 7, 7, 8, 8],
    ]  # fmt: skip
    assert len([kind for kind, _ in engine.runs if kind == "detect"]) == 8, "none twice"


def test_an_image_that_cannot_be_looked_at_costs_only_itself() -> None:
    engine = FakeEngine(lambda _: 1)

    async def run() -> list[ImageResult]:
        return await ask(pool_of(engine), 1, POISON, 3)

    assert ages(asyncio.run(run())) == [[1], RuntimeError, [3]]


def test_a_face_that_is_not_a_number_never_leaves() -> None:
    """`validate` is what a worker does with every face, not a function that stands alone."""

    class Nan(FakeEngine):
        def describe(self, *arguments: object) -> object:
            faces = yield from super().describe(*arguments)
            return [
                replace(face, embedding=np.full(512, np.nan, np.float32)) if face.age == 2 else face
                for face in faces
            ]

    async def run() -> list[ImageResult]:
        return await ask(pool_of(Nan(lambda _: 1)), 1, 2, 3)

    assert ages(asyncio.run(run())) == [[1], InferenceFailed, [3]]


@pytest.mark.parametrize("batch", [1, 8])
def test_cancelled_before_its_turn_never_reaches_the_engine(batch: int) -> None:
    engine = FakeEngine(lambda _: 1)
    engine.gate.clear()

    async def run() -> None:
        pool = pool_of(engine, batch=batch)
        first = asyncio.create_task(ask(pool, 1))
        await asyncio.to_thread(engine.entered.wait, 10)
        second = asyncio.create_task(ask(pool, 2))
        third = asyncio.create_task(ask(pool, 3))
        await queued(3)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        engine.gate.set()
        assert ages(await first) == [[1]]
        assert ages(await third) == [[3]]
        assert counted(pool, "waiting", "client") == 1

    asyncio.run(run())
    assert engine.detected == [1, 3]


@pytest.mark.parametrize(("message", "why"), [(None, "client"), (DEADLINE, "deadline")])
@pytest.mark.parametrize("before", [1, 2, 3, 4, 9])
def test_what_is_abandoned_ends_before_the_next_network(
    message: str | None, why: str, before: int
) -> None:
    """Of 8 images of 12 faces, cancelled in the middle of one of their runs."""
    engine = FakeEngine(lambda _: 12)

    async def run() -> None:
        pool = pool_of(engine)
        cancelled = threading.Event()
        loop = asyncio.get_running_loop()

        def cancel() -> None:
            if len(engine.runs) == before:
                loop.call_soon_threadsafe(asking.cancel, message)
                assert cancelled.wait(10)

        engine.after_run = cancel
        mine = entry(*range(8))
        asking = asyncio.create_task(pool.run(mine))
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert counted(pool, "computing", why) == 1
        cancelled.set()
        await asyncio.wrap_future(mine.future)  # so that its pixels may go
        assert ages(await ask(pool, 50)) == [[50] * 12]

    asyncio.run(run())
    kinds = [names for _, names in engine.runs if 50 not in names]
    assert len(kinds) == before, "it went on for nobody"


def test_of_a_batch_only_what_is_abandoned_is_left_out() -> None:
    engine = FakeEngine(lambda _: 8)
    engine.gate.clear()

    async def run() -> list[ImageResult]:
        pool = pool_of(engine, batch=3)
        blocker = asyncio.create_task(ask(pool, 0))
        await asyncio.to_thread(engine.entered.wait, 10)
        tasks = [asyncio.create_task(ask(pool, n)) for n in (1, 2, 3)]
        await queued(3)
        reached = threading.Event()

        def hold() -> None:
            if engine.detected[-1] == 1 and not reached.is_set():
                engine.gate.clear()
                reached.set()

        engine.after_run = hold
        engine.gate.set()
        await asyncio.to_thread(reached.wait, 10)
        tasks[1].cancel()
        await asyncio.gather(tasks[1], return_exceptions=True)
        engine.gate.set()
        await blocker
        return [*await tasks[0], *await tasks[2]]

    assert ages(asyncio.run(run())) == [[1] * 8, [3] * 8]
    assert [names[0] for kind, names in engine.runs if kind == "embed"] == [0, 1, 3]


def counted(pool: WorkerPool, where: str, why: str) -> float:
    labels = {"where": where, "why": why}
    value = pool._metrics.registry.get_sample_value("face_service_cancelled_total", labels)
    return value or 0.0


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


def test_the_time_of_a_batch_is_shared_by_its_requests() -> None:
    """`Retry-After` is told from how long each request kept the engine busy."""
    engine = FakeEngine()
    engine.gate.clear()

    async def run() -> list[float]:
        pool = pool_of(engine, batch=16)
        blocker = asyncio.create_task(ask(pool, 0))
        await asyncio.to_thread(engine.entered.wait, 10)
        tasks = [asyncio.create_task(pool.run(entry(n))) for n in range(1, 17)]
        await queued(3)
        engine.after_run = lambda: threading.Event().wait(0.01)
        started = time.perf_counter()
        engine.gate.set()
        await blocker
        shares = [prediction.seconds for prediction in await asyncio.gather(*tasks)]
        assert sum(shares) <= time.perf_counter() - started, "each was charged for all"
        return shares

    shares = asyncio.run(run())
    assert shares[-1] >= 0.01, "the last one is answered when all 16 have been looked at"


def test_a_worker_whose_engine_breaks_takes_nothing_more() -> None:
    engine = Unsound(lambda _: 1)

    async def run() -> None:
        pool = pool_of(engine)
        assert ages(await ask(pool, POISON)) == [RuntimeError]
        (worker,) = pool._workers
        await asyncio.to_thread(worker._thread.join, 10)
        waiting = asyncio.create_task(ask(pool, 7))
        await queued(3)
        assert pool.remove_failed(stall_timeout=60) == (1, 0)
        assert (len(pool), engine.released) == (0, 1)
        pool.add(FakeEngine(lambda _: 1))
        assert ages(await waiting) == [[7]]

    asyncio.run(run())
    assert engine.detected == [POISON]


def test_what_is_suspended_on_an_engine_that_breaks_is_answered() -> None:
    engine = Unsound(lambda name: 500 if name == "long" else 1)
    poisoned = threading.Event()

    async def run() -> None:
        pool = pool_of(engine)
        loop = asyncio.get_running_loop()

        def poison() -> None:
            if len(engine.runs) == 30:
                pool.queue.append(entry(POISON))
                poisoned.set()

        engine.after_run = poison
        long = asyncio.create_task(ask(pool, "long"))
        await loop.run_in_executor(None, poisoned.wait, 10)
        (worker,) = pool._workers
        await loop.run_in_executor(None, worker._thread.join, 10)
        pool.remove_failed(stall_timeout=60)
        assert ages(await long) == [EngineLost]

    asyncio.run(run())


class Hung(FakeEngine):
    """Never comes back from a run, until it is told to."""

    def __init__(self, faces_in: Callable[[object], int] = lambda _: 0) -> None:
        super().__init__(faces_in)
        self.gate.clear()


def hang(pool: WorkerPool) -> None:
    """Look at the workers until one is found to have hung."""
    settled(lambda: pool.remove_failed(stall_timeout=0.05) == (0, 1))


def test_an_abandoned_worker_that_comes_back_ends_and_releases_its_engine() -> None:
    hung, other = Hung(lambda _: 1), FakeEngine(lambda _: 1)

    async def run() -> None:
        pool = pool_of(hung)
        (worker,) = pool._workers
        lost = asyncio.create_task(ask(pool, 1))
        await asyncio.to_thread(hung.entered.wait, 10)
        waiting = asyncio.create_task(ask(pool, 2))
        await queued(3)
        await asyncio.to_thread(hang, pool)
        assert ages(await lost) == [EngineLost]
        assert hung.released == 0, "a thread is inside"
        hung.gate.set()
        await asyncio.to_thread(worker._thread.join, 10)
        assert not worker._thread.is_alive()
        assert hung.released == 1
        pool.add(other)
        assert ages(await waiting) == [[2]]

    asyncio.run(run())
    assert hung.runs == [("detect", [1])]
    assert other.detected == [2]


def test_a_worker_that_is_abandoned_while_it_waits_takes_nothing() -> None:
    """The moment between the look at a worker and the end of its stall: it waits in the queue."""
    idle, other = FakeEngine(lambda _: 1), FakeEngine(lambda _: 1)

    async def run() -> None:
        pool = pool_of(idle)
        (worker,) = pool._workers
        worker.abandon()
        pool._workers.remove(worker)
        waiting = asyncio.create_task(ask(pool, 2))
        await queued(3)
        await asyncio.to_thread(worker._thread.join, 10)
        assert not worker._thread.is_alive()
        pool.add(other)
        assert ages(await waiting) == [[2]]

    asyncio.run(run())
    assert idle.runs == []


def test_progress_between_runs_is_seen() -> None:
    """A piece without a network in it, as `embedding_format=none&attributes=false` asks for."""
    engine = FakeEngine(lambda _: 100)
    queue = RequestQueue()
    worker = EngineWorker(engine, queue, Metrics())
    seen: list[float] = []
    engine.after_run = lambda: seen.append(worker.stalled_for())
    engine.last_progress = lambda: 0.0
    clock = iter(range(0, 100_000, 1))
    worker._stall._looked = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("face_service.serving.stall_clock.time.monotonic", lambda: next(clock))
        queue.append(entry("long"))
        worker.start()
        queue.close()
        worker._thread.join(30)
    assert len(seen) == 1 + 2 * 13
    assert max(seen) <= 1, "every run is progress"


def test_two_workers_work_side_by_side_with_an_engine_each() -> None:
    both, engines = threading.Barrier(2), [FakeEngine(), FakeEngine()]
    for engine in engines:
        engine.after_run = lambda: both.wait(10)  # passes only if the other is inside too

    async def run() -> None:
        pool = pool_of(*engines)
        await asyncio.gather(ask(pool, 1), ask(pool, 2))

    asyncio.run(run())
    assert sorted(name for engine in engines for name in engine.detected) == [1, 2]


def test_who_is_alone_has_every_core_and_who_is_not_an_equal_share() -> None:
    first, second = FakeEngine(lambda _: 1), FakeEngine(lambda _: 1)
    first.gate.clear()
    second.gate.clear()

    async def run() -> None:
        pool = pool_of(first, second)
        alone = asyncio.create_task(ask(pool, "alone"))
        await asyncio.to_thread(settled, lambda: first.inside)
        other = asyncio.create_task(ask(pool, "other"))
        await asyncio.to_thread(settled, lambda: second.inside)
        first.gate.set()
        await alone
        await asyncio.to_thread(settled, lambda: pool.queue.busy == 1)
        second.gate.set()
        await other

    asyncio.run(run())
    threads = FakeEngine.info.threads
    assert first.threads == [threads, threads // 2, threads // 2]
    assert second.threads == [threads // 2, threads, threads]


def test_work_goes_to_the_first_worker_that_is_idle() -> None:
    """The first is the one that may have every core."""
    engines = [FakeEngine(lambda _: 1) for _ in range(3)]

    async def run() -> None:
        pool = pool_of(*engines)
        for name in range(20):
            await ask(pool, name)
            await asyncio.to_thread(settled, lambda: not pool.queue.busy)

    asyncio.run(run())
    assert [len(engine.detected) for engine in engines] == [20, 0, 0]


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


def test_a_worker_that_replaces_another_takes_its_number() -> None:
    pool = pool_of(FakeEngine(), FakeEngine(), FakeEngine())
    pool._workers[1].broken = True
    assert pool.remove_failed(60) == (1, 0)
    assert pool.next_number == 1
    pool.add(FakeEngine())
    assert [worker.number for worker in pool._workers] == [0, 2, 1]
    assert pool.next_number == 3


@pytest.mark.parametrize("batch", [1, 3])
def test_closing_finishes_what_is_in_the_queue(batch: int) -> None:
    async def run() -> list[list[ImageResult]]:
        pool = pool_of(FakeEngine(lambda n: 100 * n), FakeEngine(lambda n: 100 * n), batch=batch)
        pending = [asyncio.create_task(ask(pool, n)) for n in range(7)]
        await queued(3)
        pool.close(stall_timeout=10)
        return await asyncio.gather(*pending)

    assert [ages(results) for results in asyncio.run(run())] == [[[n] * 100 * n] for n in range(7)]


@pytest.mark.parametrize("faces", [0, 2, 500])
def test_the_pixels_of_an_answered_entry_are_free_at_once(faces: int) -> None:
    """Not when the garbage collector next looks for cycles: it counts objects, not megabytes."""
    engine = FakeEngine(lambda _: faces)

    async def run() -> None:
        pool = pool_of(engine)
        pixels = np.zeros((1, 7, 3), np.uint8)
        freed = weakref.ref(pixels)
        mine = QueueEntry([PreparedImage(pixels, [], Options())])
        del pixels
        prediction = await pool.run(mine)
        assert len(prediction.results) == 1
        del mine
        await asyncio.to_thread(settled, lambda: freed() is None)

    gc.disable()
    try:
        asyncio.run(run())
    finally:
        gc.enable()


def test_what_the_detector_was_shown_is_free_while_faces_are_described() -> None:
    engine = FakeEngine(lambda _: 2)
    mine = QueueEntry([PreparedImage(n, [object()] * n, Options()) for n in (1, 2)])
    left: list[int] = []

    def note() -> None:
        if engine.runs[-1][0] == "embed":
            left.extend(len(image.inputs) for image in mine.images)

    engine.after_run = note

    async def run() -> Prediction:
        return await pool_of(engine).run(mine)

    assert ages(asyncio.run(run()).results) == [[1, 1], [2, 2]]
    assert left == [0, 0]
