"""The supervisor: engines that break or hang are replaced, and when only a new process helps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest

from face_service.errors import StartupError
from face_service.observability.metrics import Metrics
from face_service.serving import supervisor as module
from face_service.serving.supervisor import STALLED_WITHIN_S, EngineSupervisor
from face_service.serving.worker import WorkerPool

from .engines import FakeEngine


class Pool(WorkerPool):
    """Workers that are lost when a test says so: `lost` has what each look finds."""

    def __init__(self) -> None:
        super().__init__(Metrics())
        self.lost: list[tuple[int, int]] = []

    def remove_failed(self, stall_timeout: float) -> tuple[int, int]:
        broken, stalled = self.lost.pop(0) if self.lost else (0, 0)
        for _ in range(min(broken + stalled, len(self))):
            self._workers.pop().abandon()
        return broken, stalled


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it has slept, which takes no time here; looks at the workers left out."""
    slept: list[float] = []
    really = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds != module.WATCH_S:
            slept.append(seconds)
        await really(0.001)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    return slept


def supervised(
    load: Callable[[int], FakeEngine],
    test: Callable[[EngineSupervisor, Pool], Awaitable[None]],
    wanted: int = 1,
    on_engine_ready: Callable[[FakeEngine], None] = lambda _: None,
) -> None:
    """Run a test with a supervisor whose engines are loaded."""

    async def run() -> None:
        pool = Pool()
        supervisor = EngineSupervisor(
            load, pool, lambda _: wanted, 20.0, pool._metrics, on_engine_ready
        )
        await supervisor.start()
        try:
            await test(supervisor, pool)
        finally:
            pool.close(1)

    asyncio.run(asyncio.wait_for(run(), 60))


async def until(condition: Callable[[], bool]) -> None:
    wait = asyncio.Event().wait
    while not condition():
        try:
            await asyncio.wait_for(wait(), 0.002)
        except TimeoutError:
            continue


def test_pauses_between_attempts_grow_up_to_half_a_minute(pauses: list[float]) -> None:
    attempts: list[int] = []

    def load(_: int) -> FakeEngine:
        attempts.append(1)
        if len(attempts) in (1, 10):
            return FakeEngine()
        raise RuntimeError("CUDA failure 2: out of memory")

    async def test(supervisor: EngineSupervisor, pool: Pool) -> None:
        pool.lost = [(1, 0)]
        watching = asyncio.create_task(supervisor.watch())
        await until(lambda: len(attempts) == 10 and len(pool) == 1)
        watching.cancel()
        assert supervisor.failure is None

    supervised(load, test)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_load_that_fails_once_is_tried_again(pauses: list[float]) -> None:
    engines = [FakeEngine(), FakeEngine()]
    faults = iter([False, True, False])

    def load(_: int) -> FakeEngine:
        if next(faults):
            raise StartupError("no such file, for the moment")
        return engines.pop(0)

    ready: list[FakeEngine] = []

    async def test(supervisor: EngineSupervisor, pool: Pool) -> None:
        pool.lost = [(1, 0)]
        watching = asyncio.create_task(supervisor.watch())
        await until(lambda: len(ready) == 2 and len(pool) == 1)
        watching.cancel()

    supervised(load, test, on_engine_ready=ready.append)
    assert pauses == [1]
    assert not engines


def test_an_engine_that_fell_back_is_the_one_that_is_reported() -> None:
    class FellBack(FakeEngine):
        info = SimpleNamespace(**{**vars(FakeEngine.info), "fallback": "no room on the card"})

    engines, ready = [FakeEngine(), FellBack(), FakeEngine()], []

    async def test(*_: object) -> None:
        pass

    supervised(lambda _: engines.pop(0), test, wanted=3, on_engine_ready=ready.append)
    assert [engine.info.fallback for engine in ready] == [None, *["no room on the card"] * 2]


@pytest.mark.parametrize(
    ("after", "ends"),
    [
        pytest.param([0, 0, 0], True, id="one after the other"),
        pytest.param([0, 1700, 1700], True, id="within an hour"),
        pytest.param([0, 1900, 1900], False, id="within more than an hour"),
        pytest.param([0, STALLED_WITHIN_S + 1] * 10, False, id="two a time, for days"),
    ],
)
@pytest.mark.usefixtures("pauses")
def test_three_that_hang_within_an_hour_end_the_process(
    after: list[float], ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))

    async def test(supervisor: EngineSupervisor, pool: Pool) -> None:
        nonlocal now
        watching = asyncio.create_task(supervisor.watch())
        for seconds in after:
            await until(lambda: len(pool) == 1 or watching.done())
            now += seconds
            pool.lost = [(0, 1)]
            await until(lambda: not pool.lost or watching.done())
        if ends:
            with pytest.raises(StartupError, match="3 engines have hung"):
                await watching
            assert supervisor.failure is not None
        else:
            await until(lambda: len(pool) == 1 or watching.done())
            assert not watching.done()
            watching.cancel()

    supervised(lambda _: FakeEngine(), test)


@pytest.mark.usefixtures("pauses")
def test_engines_that_break_never_end_the_process() -> None:
    loads: list[int] = []

    def load(_: int) -> FakeEngine:
        loads.append(1)
        return FakeEngine()

    async def test(supervisor: EngineSupervisor, pool: Pool) -> None:
        watching = asyncio.create_task(supervisor.watch())
        for number in range(10):
            pool.lost = [(1, 0)]
            await until(lambda n=number: len(loads) == n + 2 and len(pool) == 1)
        watching.cancel()
        counter = "face_service_engines_lost_total"
        assert pool._metrics.registry.get_sample_value(counter, {"why": "broken"}) == 10

    supervised(load, test)
