"""Workers that end, break or hang: what they had is answered, and nothing is lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from face_service.errors import EngineLost
from face_service.observability.metrics import Metrics
from face_service.serving.queue import Prediction, RequestQueue
from face_service.serving.worker import EngineWorker, WorkerPool
from tests.wire import settled

from .engines import POISON, FakeEngine, Unsound, entry
from .pools import ages, ask, pool_of, queued


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


def test_a_stalled_worker_that_breaks_while_it_is_looked_at_is_removed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaks(worker: EngineWorker) -> float:
        worker.broken = True
        return 100.0

    monkeypatch.setattr(EngineWorker, "stalled_for", breaks)
    pool = pool_of(FakeEngine())
    assert pool.remove_failed(60) == (0, 1)
    assert len(pool) == 0


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
