"""Lanes: in order, one at a time, each answer to its own asker, cancelled work never run."""

from __future__ import annotations

import asyncio
import threading

import pytest

from face_service.serving.lane import Lanes


class FakeEngine:
    """Counts how many callers are inside at once."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0

    def __enter__(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)

    def __exit__(self, *_: object) -> None:
        self.inside -= 1


def test_work_runs_in_order_and_one_at_a_time() -> None:
    engine, order = FakeEngine(), []

    def work(number: int):
        def call(engine: FakeEngine) -> int:
            with engine:
                order.append(number)
            return number

        return call

    async def run() -> list[int]:
        lanes = Lanes()
        lanes.open(engine)
        return await asyncio.gather(*(lanes.run(work(n)) for n in range(200)))

    assert asyncio.run(run()) == list(range(200))
    assert order == list(range(200))
    assert engine.most == 1


def test_an_error_reaches_its_asker_and_the_lane_lives_on() -> None:
    async def run() -> list[object]:
        lanes = Lanes()
        lanes.open(FakeEngine())
        return await asyncio.gather(
            lanes.run(lambda _: 1 // 0), lanes.run(lambda _: "alive"), return_exceptions=True
        )

    error, alive = asyncio.run(run())
    assert isinstance(error, ZeroDivisionError)
    assert alive == "alive"


def test_cancelled_before_its_turn_is_never_run() -> None:
    gate, ran = threading.Event(), []

    async def run() -> None:
        lanes = Lanes()
        lanes.open(FakeEngine())
        first = asyncio.create_task(lanes.run(lambda _: gate.wait(10)))
        second = asyncio.create_task(lanes.run(lambda _: ran.append("second")))
        await asyncio.sleep(0.05)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.set()
        await first
        await lanes.run(lambda _: ran.append("third"))

    asyncio.run(run())
    assert ran == ["third"]


def test_two_lanes_work_side_by_side_with_an_engine_each() -> None:
    both, engines = threading.Barrier(2), [FakeEngine(), FakeEngine()]

    def meet(engine: FakeEngine) -> int:
        both.wait(10)  # passes only if the other lane is inside too
        return id(engine)

    async def run() -> list[int]:
        lanes = Lanes()
        for engine in engines:
            lanes.open(engine)
        return await asyncio.gather(lanes.run(meet), lanes.run(meet))

    assert set(asyncio.run(run())) == set(map(id, engines))


def test_closing_finishes_what_is_in_line() -> None:
    done = []

    async def run() -> None:
        lanes = Lanes()
        lanes.open(FakeEngine())
        pending = [asyncio.create_task(lanes.run(lambda _, n=n: done.append(n))) for n in range(5)]
        await asyncio.sleep(0)
        lanes.close()
        await asyncio.gather(*pending)

    asyncio.run(run())
    assert done == list(range(5))
