"""Lanes: in order, each answer to its own asker, cancelled work never run, batches formed."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from face_service.metrics import Metrics
from face_service.serving.queue import Outcome
from face_service.serving.worker import Lanes
from face_service.stages import StageTimes


@pytest.fixture(autouse=True)
def answers_need_no_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake answers here are no faces; tests/serving/test_validation.py is about those."""
    monkeypatch.setattr("face_service.serving.worker.validate", lambda _: None)


class FakeEngine:
    """Answers each job with itself; notes every batch; waits at `gate`; fails on "poison"."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.inside = self.most_inside = 0

    def last_progress(self) -> float:
        return 0.0

    def self_test(self) -> None:
        pass

    def analyse(self, jobs: list[object], times: StageTimes) -> list[list[object]]:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.entered.set()
        self.gate.wait(10)
        self.batches.append(list(jobs))
        self.inside -= 1
        if "poison" in jobs:
            raise RuntimeError("cannot be computed")
        times["detect"] = 1.0
        return [[job] for job in jobs]


async def ask(lanes: Lanes, *jobs: object) -> list[Outcome]:
    return await lanes.run(list(jobs), StageTimes(), [])


async def queued(count: int) -> None:
    """Let tasks that were just created get as far as the queue."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_work_runs_in_order_and_one_at_a_time() -> None:
    engine = FakeEngine()

    async def run() -> list[list[Outcome]]:
        lanes = Lanes(Metrics())
        lanes.open(engine, images_per_turn=1)
        return await asyncio.gather(*(ask(lanes, n) for n in range(200)))

    assert asyncio.run(run()) == [[[n]] for n in range(200)]
    assert engine.batches == [[n] for n in range(200)], "a CPU lane forms no batches"
    assert engine.most_inside == 1


def test_what_waits_is_taken_in_one_turn_where_the_provider_likes_it() -> None:
    engine = FakeEngine()
    engine.gate.clear()

    async def run() -> list[list[Outcome]]:
        lanes = Lanes(Metrics())
        lanes.open(engine, images_per_turn=4)
        first = asyncio.create_task(ask(lanes, "a"))
        await asyncio.to_thread(engine.entered.wait, 10)
        rest = [asyncio.create_task(ask(lanes, *name)) for name in ("b", "cd", "e", "f", "g")]
        await queued(3)
        engine.gate.set()
        return [await first, *(await asyncio.gather(*rest))]

    answers = asyncio.run(run())
    assert engine.batches == [["a"], ["b", "c", "d", "e"], ["f", "g"]]
    assert answers == [[["a"]], [["b"]], [["c"], ["d"]], [["e"]], [["f"]], [["g"]]]


def test_a_poisoned_job_costs_only_itself() -> None:
    engine = FakeEngine()

    async def run() -> list[Outcome]:
        lanes = Lanes(Metrics())
        lanes.open(engine, images_per_turn=1)
        return await ask(lanes, 1, 2, "poison", 4, 5, 6, 7, 8)

    outcomes = asyncio.run(run())
    assert isinstance(outcomes[2], RuntimeError)
    assert [outcome for outcome in outcomes if isinstance(outcome, list)] == [
        [1], [2], [4], [5], [6], [7], [8],
    ]  # fmt: skip


@pytest.mark.parametrize("images_per_turn", [1, 8])
def test_cancelled_before_its_turn_never_reaches_the_engine(images_per_turn: int) -> None:
    engine = FakeEngine()
    engine.gate.clear()

    async def run() -> None:
        lanes = Lanes(Metrics())
        lanes.open(engine, images_per_turn)
        first = asyncio.create_task(ask(lanes, "first"))
        await asyncio.to_thread(engine.entered.wait, 10)
        times = StageTimes()
        second = asyncio.create_task(lanes.run(["second"], times, []))
        third = asyncio.create_task(ask(lanes, "third"))
        await queued(3)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert list(times) == ["queue"], "how long it waited in vain is known"
        engine.gate.set()
        assert await first == [["first"]]
        assert await third == [["third"]]

    asyncio.run(run())
    assert engine.batches == [["first"], ["third"]]


def test_a_lane_that_broke_long_ago_is_removed_once_and_its_engine_released() -> None:
    engine, released = FakeEngine(), []
    engine.release = lambda: released.append(True)

    async def run() -> tuple[int, int]:
        lanes = Lanes(Metrics())
        lanes.open(engine, images_per_turn=1)
        (lane,) = lanes._open
        lane.broken, lane._busy_since = True, time.monotonic() - 60
        lost = lanes.remove_lost(stall_timeout=1)
        assert len(lanes) == 0
        return lost

    assert asyncio.run(run()) == (1, 0)
    assert released == [True]


def test_two_lanes_work_side_by_side_with_an_engine_each() -> None:
    both, engines = threading.Barrier(2), [FakeEngine(), FakeEngine()]
    for engine in engines:
        engine.gate.wait = lambda _: both.wait(10)  # passes only if the other is inside too

    async def run() -> None:
        lanes = Lanes(Metrics())
        for engine in engines:
            lanes.open(engine, images_per_turn=1)
        await asyncio.gather(ask(lanes, 1), ask(lanes, 2))

    asyncio.run(run())
    assert sorted(batch for engine in engines for batch in engine.batches) == [[1], [2]]


@pytest.mark.parametrize("images_per_turn", [1, 3])
def test_closing_finishes_what_is_in_line(images_per_turn: int) -> None:
    async def run() -> list[list[Outcome]]:
        lanes = Lanes(Metrics())
        for _ in range(2):
            lanes.open(FakeEngine(), images_per_turn)
        pending = [asyncio.create_task(ask(lanes, n)) for n in range(7)]
        await queued(3)
        lanes.close(stall_timeout=1)
        return await asyncio.gather(*pending)

    assert asyncio.run(run()) == [[[n]] for n in range(7)]
