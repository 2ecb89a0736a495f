"""Room: few are decoded ahead, however many wait; who leaves while waiting never is."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from face_service.errors import InvalidImage
from face_service.face_engine import Face, Job, Options
from face_service.metrics import Metrics
from face_service.serving.decode_gate import Room
from face_service.serving.service import FaceService, Limits
from face_service.stages import StageTimes

from .test_service import FakeEngine, image

LIMITS = Limits(lanes=1, decoders=2)
AHEAD = 4
"""One that is computed, the next, and two in the decoders."""


class Held(FakeEngine):
    """Finds nothing once it may; knows how many images were prepared and not yet computed."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.prepared = self.computed = self.most = 0

    def prepare(self, pixels: object, options: Options) -> Job:
        self.prepared += 1
        self.most = max(self.most, self.prepared - self.computed)
        return super().prepare(pixels, options)

    def analyse(self, jobs: list[Job], times: StageTimes) -> list[list[Face]]:
        self.may.wait(60)
        self.computed += len(jobs)
        return super().analyse(jobs, times)


def test_of_twenty_that_wait_few_are_decoded() -> None:
    engine = Held()

    async def run() -> list[StageTimes]:
        service = FaceService(lambda: engine, LIMITS)
        await service.start()
        times = [StageTimes() for _ in range(20)]
        requests = [
            asyncio.create_task(service.analyse(image(10), Options(), each)) for each in times
        ]
        while engine.prepared < AHEAD or service._room.waiting < 16:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert service.metrics.registry.get_sample_value("face_service_queue_depth") == 19
        engine.may.set()
        await asyncio.gather(*requests)
        service.close()
        return times

    times = asyncio.run(run())
    assert engine.computed == 20
    assert engine.most == AHEAD
    # Who waited to be decoded and then to be computed was in two queues.
    queues = [[each.stage for each in one.intervals if each.stage != "decode"] for one in times]
    assert queues == [["queue"]] * AHEAD + [["queue", "queue"]] * 16


def test_who_leaves_while_waiting_is_never_decoded() -> None:
    engine = Held()

    async def run() -> float | None:
        service = FaceService(lambda: engine, LIMITS)
        await service.start()
        requests = [
            asyncio.create_task(service.analyse(image(10), Options(), StageTimes()))
            for _ in range(20)
        ]
        while service._room.waiting < 16:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for request in requests[AHEAD:-1]:
            request.cancel()
        engine.may.set()
        await asyncio.gather(*requests, return_exceptions=True)
        service.close()
        labels = {"where": "waiting"}
        return service.metrics.registry.get_sample_value("face_service_cancelled_total", labels)

    assert asyncio.run(run()) == 15
    assert engine.prepared == AHEAD + 1


def test_pixels_wait_for_room_as_well_and_time_tells() -> None:
    async def run() -> tuple[StageTimes, StageTimes]:
        room, first, second = Room(10, Metrics()), StageTimes(), StageTimes()
        room.let_in(4)

        async def after() -> None:
            async with room.take(5, second):
                assert room.held == 5

        async with room.take(6, first):
            waits = asyncio.create_task(after())
            await asyncio.sleep(0.01)
            assert (room.held, room.waiting) == (6, 1)
        await waits
        assert (room.held, room.waiting) == (0, 0)
        return first, second

    first, second = asyncio.run(run())
    assert "queue" not in first
    assert second["queue"] > 0


def test_pixels_keep_their_room_while_an_engine_has_them_though_nobody_waits_for_it() -> None:
    engine = Held()

    async def run() -> list[int]:
        service = FaceService(lambda: engine, LIMITS)
        await service.start()
        request = asyncio.create_task(service.analyse(image(10), Options(), StageTimes()))
        while service._room.held == 0 or not service._lanes._open[0]._turn:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        computing = service._room.held
        engine.may.set()
        while service._room.held:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        service.close()
        return [computing, service._room.held]

    assert asyncio.run(asyncio.wait_for(run(), 30)) == [10 * 10 * 3, 0]


def test_what_fails_when_nobody_waits_for_it_any_more_is_no_news(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(Held):
        def prepare(self, pixels: object, options: Options) -> Job:
            self.prepared += 1
            self.may.wait(60)
            raise InvalidImage("damaged")

    engine = Failing()

    async def run() -> None:
        service = FaceService(lambda: engine, LIMITS)
        await service.start()
        request = asyncio.create_task(service.analyse(image(10), Options(), StageTimes()))
        while not engine.prepared:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        assert service._room.held == 10 * 10 * 3
        engine.may.set()
        while service._room.held:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        service.close()
        gc.collect()

    asyncio.run(asyncio.wait_for(run(), 30))
    assert not [record for record in caplog.records if record.name == "asyncio"]
