"""Workers beside each other: who is given what, and how many threads it has."""

from __future__ import annotations

import asyncio
import threading

from tests.wire import settled

from .engines import FakeEngine
from .pools import ask, pool_of


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


def test_a_worker_that_replaces_another_takes_its_number() -> None:
    pool = pool_of(FakeEngine(), FakeEngine(), FakeEngine())
    pool._workers[1].broken = True
    assert pool.remove_failed(60) == (1, 0)
    assert pool.next_number == 1
    pool.add(FakeEngine())
    assert [worker.number for worker in pool._workers] == [0, 2, 1]
    assert pool.next_number == 3
