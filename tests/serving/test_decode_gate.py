"""The decode gate: few are decoded ahead, however many wait; who leaves while waiting never is."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import replace

import pytest

from face_service.errors import InvalidImage
from face_service.face_engine import Options
from face_service.observability.metrics import Metrics
from face_service.observability.timing import StageTimes
from face_service.serving.decode_gate import DecodeGate
from face_service.serving.service import FaceService, Limits
from face_service.vision.detector import DetectorInput
from face_service.vision.image import check

from .engines import FakeEngine
from .test_service import image

LIMITS = Limits(workers=1, decoders=2)
AHEAD = 3
"""One that is computed, and one for each decoder, of which one is the next."""


def charge(width: int) -> int:
    """What decoding `image(width)` is counted as, in bytes."""
    return check(image(width), 10**9).decoded_bytes


class Held(FakeEngine):
    """Finds nothing once it may; knows how many images were prepared and not yet computed."""

    def __init__(self) -> None:
        super().__init__()
        self.gate.clear()
        self.prepared = self.most = 0

    @property
    def preprocessor(self) -> Held:
        return self

    max_bytes = 0

    def preprocess(self, _: object) -> list[DetectorInput]:
        self.prepared += 1
        self.most = max(self.most, self.prepared - len(self.runs))
        return []


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def test_of_twenty_that_wait_few_are_decoded() -> None:
    engine = Held()

    async def run() -> list[StageTimes]:
        service = FaceService(lambda _: engine, LIMITS)
        await service.start()
        times = [StageTimes() for _ in range(20)]
        requests = [
            asyncio.create_task(service.analyse(image(10), Options(), each)) for each in times
        ]
        while engine.prepared < AHEAD or service._decode_gate.waiting < 20 - AHEAD:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        value = service.metrics.registry.get_sample_value
        await asyncio.wait_for(until(lambda: value("face_service_queue_depth") == 19), 30)
        engine.gate.set()
        await asyncio.gather(*requests)
        service.close()
        return times

    times = asyncio.run(run())
    assert len(engine.runs) == 20
    assert engine.most == AHEAD
    # Who waited to be decoded and then to be computed was in two queues.
    queues = [[each.stage for each in one.intervals if each.stage == "queue"] for one in times]
    assert queues == [["queue"]] * AHEAD + [["queue", "queue"]] * (20 - AHEAD)


def test_who_leaves_while_waiting_is_never_decoded() -> None:
    engine = Held()

    async def run() -> float | None:
        service = FaceService(lambda _: engine, LIMITS)
        await service.start()
        requests = [
            asyncio.create_task(service.analyse(image(10), Options(), StageTimes()))
            for _ in range(20)
        ]
        while service._decode_gate.waiting < 20 - AHEAD:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for request in requests[AHEAD:-1]:
            request.cancel()
        engine.gate.set()
        await asyncio.gather(*requests, return_exceptions=True)
        service.close()
        labels = {"where": "waiting", "why": "client"}
        return service.metrics.registry.get_sample_value("face_service_cancelled_total", labels)

    assert asyncio.run(run()) == 20 - AHEAD - 1
    assert engine.prepared == AHEAD + 1


def test_pixels_wait_for_memory_as_well_and_time_tells() -> None:
    async def run() -> tuple[StageTimes, StageTimes]:
        gate, first, second = DecodeGate(10, Metrics()), StageTimes(), StageTimes()
        gate.set_concurrency(4, 1)

        async def after() -> None:
            async with gate.reserve(1, 5, second):
                assert gate.held == 5

        async with gate.reserve(1, 6, first):
            waits = asyncio.create_task(after())
            await asyncio.sleep(0.01)
            assert (gate.held, gate.waiting) == (6, 1)
        await waits
        assert (gate.held, gate.waiting) == (0, 0)
        return first, second

    first, second = asyncio.run(run())
    assert "queue" not in first
    assert second["queue"] > 0


def test_pixels_keep_their_room_while_an_engine_has_them_though_nobody_waits_for_it() -> None:
    engine = Held()

    async def run() -> list[int]:
        service = FaceService(lambda _: engine, LIMITS)
        await service.start()
        request = asyncio.create_task(service.analyse(image(10), Options(), StageTimes()))
        while service._decode_gate.held == 0 or not engine.entered.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        computing = service._decode_gate.held
        engine.gate.set()
        while service._decode_gate.held:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        service.close()
        return [computing, service._decode_gate.held]

    assert asyncio.run(asyncio.wait_for(run(), 30)) == [10 * 10 * 3, 0]


def test_what_fails_when_nobody_waits_for_it_any_more_is_no_news(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(Held):
        def preprocess(self, _: object) -> list[DetectorInput]:
            self.prepared += 1
            self.gate.wait(60)
            raise InvalidImage("damaged")

    engine = Failing()

    async def run() -> None:
        service = FaceService(lambda _: engine, LIMITS)
        await service.start()
        request = asyncio.create_task(service.analyse(image(10), Options(), StageTimes()))
        while not engine.prepared:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        assert service._decode_gate.held == charge(10)
        labels = {"where": "decoding", "why": "client"}
        value = service.metrics.registry.get_sample_value
        assert value("face_service_cancelled_total", labels) == 1
        engine.gate.set()
        while service._decode_gate.held:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        service.close()
        gc.collect()

    asyncio.run(asyncio.wait_for(run(), 30))
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_decoded_images_hold_their_pixels_alone_and_others_may_decode() -> None:
    """Decoding takes more than its result: while one that takes the whole budget is computed, the
    next is decoded."""
    engine = Held()
    limits = replace(LIMITS, max_decoded_bytes=charge(10))

    async def run() -> int:
        service = FaceService(lambda _: engine, limits)
        await service.start()
        first = asyncio.create_task(service.analyse(image(10), Options(), StageTimes()))
        await until(lambda: engine.entered.is_set())
        second = asyncio.create_task(service.analyse(image(2), Options(), StageTimes()))
        await until(lambda: engine.prepared == 2)
        held = service._decode_gate.held
        engine.gate.set()
        await asyncio.gather(first, second)
        service.close()
        return held

    assert 10 * 10 * 3 + charge(2) <= charge(10), "both fit where only pixels are held"
    assert asyncio.run(asyncio.wait_for(run(), 30)) <= 10 * 10 * 3 + charge(2)
