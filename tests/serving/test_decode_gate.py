"""The decode gate: few are decoded ahead, however many wait; who leaves while waiting never is."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from face_service.errors import InvalidImage
from face_service.face_engine import Options
from face_service.observability.metrics import Metrics
from face_service.observability.timing import StageTimes
from face_service.serving.decode_gate import DecodeGate
from face_service.serving.service import FaceService, Limits
from face_service.vision.image import check
from face_service.vision.scrfd import DetectorInput

from .engines import FakeEngine
from .test_service import image

LIMITS = Limits(workers=1, decoders=2)
AHEAD = 4
"""One that is computed, the next, and two in the decoders."""


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


def test_of_twenty_that_wait_few_are_decoded() -> None:
    engine = Held()

    async def run() -> list[StageTimes]:
        service = FaceService(lambda: engine, LIMITS)
        await service.start()
        times = [StageTimes() for _ in range(20)]
        requests = [
            asyncio.create_task(service.analyse(image(10), Options(), each)) for each in times
        ]
        while engine.prepared < AHEAD or service._gate.waiting < 16:  # noqa: ASYNC110
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
        while service._gate.waiting < 16:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for request in requests[AHEAD:-1]:
            request.cancel()
        engine.gate.set()
        await asyncio.gather(*requests, return_exceptions=True)
        service.close()
        labels = {"where": "waiting", "why": "client"}
        return service.metrics.registry.get_sample_value("face_service_cancelled_total", labels)

    assert asyncio.run(run()) == 15
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
        service = FaceService(lambda: engine, LIMITS)
        await service.start()
        request = asyncio.create_task(service.analyse(image(10), Options(), StageTimes()))
        while service._gate.held == 0 or not engine.entered.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        computing = service._gate.held
        engine.gate.set()
        while service._gate.held:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        service.close()
        return [computing, service._gate.held]

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
        service = FaceService(lambda: engine, LIMITS)
        await service.start()
        request = asyncio.create_task(service.analyse(image(10), Options(), StageTimes()))
        while not engine.prepared:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        assert service._gate.held == charge(10)
        labels = {"where": "decoding", "why": "client"}
        value = service.metrics.registry.get_sample_value
        assert value("face_service_cancelled_total", labels) == 1
        engine.gate.set()
        while service._gate.held:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        service.close()
        gc.collect()

    asyncio.run(asyncio.wait_for(run(), 30))
    assert not [record for record in caplog.records if record.name == "asyncio"]


class Long(FakeEngine):
    """A picture of 40 pixels' width shows 500 faces, of 41 pixels' 20; any other shows none."""

    def __init__(self) -> None:
        super().__init__(lambda width: {40: 500, 41: 20}.get(width, 0))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def test_what_takes_long_keeps_its_memory_and_gives_its_slot_back() -> None:
    """Or as many of those as there are slots would have everybody else wait for them to end."""
    engine = Long()

    async def run() -> None:
        service = FaceService(lambda: engine, LIMITS)
        await service.start()
        held = threading.Semaphore(0)
        engine.after_run = lambda: engine.runs[-1][1][0] == 40 and held.acquire(timeout=30)
        long = [
            asyncio.create_task(service.analyse(image(40), Options(), StageTimes()))
            for _ in range(AHEAD)
        ]
        await until(lambda: service._gate._new.slots.held == AHEAD)
        held.release(AHEAD)
        await until(lambda: service._gate._new.slots.held < AHEAD)
        newcomer = asyncio.create_task(service.analyse(image(7), Options(), StageTimes()))
        while not newcomer.done():
            held.release()
            await asyncio.sleep(0.001)
        await newcomer
        each = 10 * 40 * 3 + engine.preprocessor.max_bytes
        assert service._gate.held == AHEAD * each, "nobody's pixels have gone"
        held.release(10**6)
        await asyncio.gather(*long)
        assert service._gate.held == 0
        service.close()

    asyncio.run(asyncio.wait_for(run(), 60))


@pytest.mark.parametrize("runs", [1, 5, 21])
def test_of_a_batch_of_files_a_few_are_decoded_and_another_client_is_not_in_their_way(
    runs: int,
) -> None:
    """32 photos with 5 faces each, eight of which fit into a part of the request, whichever run
    another client comes in: that there are 32 is known before the first."""
    engine = Held()
    engine.faces_in = lambda width: 5 if width == 41 else 0

    async def run() -> None:
        service = FaceService(lambda: engine, LIMITS)
        await service.start()
        batch = asyncio.create_task(service.analyse_many([image(41)] * 32, Options(), StageTimes()))
        await until(lambda: engine.prepared == 16)
        await asyncio.sleep(0.1)
        assert engine.prepared == 16, "one part is computed, the next is decoded"
        assert service._gate.held == 16 * 10 * 41 * 3
        arrived: list[int] = []

        def arrive() -> None:
            if len(engine.runs) == runs:
                engine.entered.clear()
                engine.gate.clear()
                arrived.append(len(engine.runs))

        engine.after_run = arrive
        engine.gate.set()
        await until(lambda: bool(arrived) and engine.entered.is_set())
        newcomer = asyncio.create_task(service.analyse(image(7), Options(), StageTimes()))
        await until(lambda: service._workers.queue.requests == 1)
        engine.gate.set()
        await newcomer
        names = [names[0] for _, names in engine.runs]
        assert names.index(7) == arrived[0] + 1, "behind the run that it met"
        _, answers = await batch
        assert [len(answer.faces) for answer in answers] == [5] * 32
        assert [answer.width for answer in answers] == [41] * 32
        service.close()

    asyncio.run(asyncio.wait_for(run(), 60))
    assert engine.most <= 16 + AHEAD


def test_of_a_batch_whose_client_has_gone_nothing_more_is_decoded_or_computed() -> None:
    engine = Held()
    engine.faces_in = lambda _: 20

    async def run() -> int:
        service = FaceService(lambda: engine, LIMITS)
        await service.start()
        batch = asyncio.create_task(service.analyse_many([image(41)] * 32, Options(), StageTimes()))
        await until(lambda: engine.prepared == 16 and engine.entered.is_set())
        batch.cancel()
        await asyncio.gather(batch, return_exceptions=True)
        engine.gate.set()
        await until(lambda: service._gate.held == 0)
        value = service.metrics.registry.get_sample_value
        counted = [
            value("face_service_cancelled_total", {"where": where, "why": "client"})
            for where in ("computing", "waiting")
        ]
        assert counted == [1, 1], "the part that was computed, and the one behind it"
        service.close()
        return len(engine.runs)

    assert asyncio.run(asyncio.wait_for(run(), 60)) == 1
    assert engine.prepared == 16


def test_what_the_detector_is_shown_is_counted_too() -> None:
    """32 thumbnails are 10 kB of pixels, and 5 MB each as the detector sees them."""
    engine = Held()
    engine.max_bytes = 5_000_000

    async def run() -> int:
        service = FaceService(lambda: engine, LIMITS)
        await service.start()
        batch = asyncio.create_task(service.analyse_many([image(7)] * 32, Options(), StageTimes()))
        await until(lambda: engine.prepared == 12)
        await asyncio.sleep(0.1)
        held = service._gate.held
        engine.gate.set()
        await batch
        service.close()
        return held

    assert asyncio.run(asyncio.wait_for(run(), 60)) == 12 * (5_000_000 + 10 * 7 * 3)
    assert engine.prepared == 32


def test_decoded_images_hold_their_pixels_alone_and_others_may_decode() -> None:
    """Decoding takes more than its result: while one that takes the whole budget is computed, the
    next is decoded."""
    engine = Held()
    limits = replace(LIMITS, max_decoded_bytes=charge(10))

    async def run() -> int:
        service = FaceService(lambda: engine, limits)
        await service.start()
        first = asyncio.create_task(service.analyse(image(10), Options(), StageTimes()))
        await until(lambda: engine.entered.is_set())
        second = asyncio.create_task(service.analyse(image(2), Options(), StageTimes()))
        await until(lambda: engine.prepared == 2)
        held = service._gate.held
        engine.gate.set()
        await asyncio.gather(first, second)
        service.close()
        return held

    assert 10 * 10 * 3 + charge(2) <= charge(10), "both fit where only pixels are held"
    assert asyncio.run(asyncio.wait_for(run(), 30)) <= 10 * 10 * 3 + charge(2)


@pytest.mark.parametrize("count", [1, 4, 12])
def test_images_that_take_long_never_take_the_memory_of_new_requests(count: int) -> None:
    """Large pictures of crowds: four of them would fill the budget. Those for which there is no
    room beside others that take long are decoded again when there is."""
    engine = Long()
    each = 10 * 40 * 3 + engine.preprocessor.max_bytes
    limit = 4 * (charge(40) + engine.preprocessor.max_bytes)

    async def run() -> None:
        service = FaceService(lambda: engine, replace(LIMITS, max_decoded_bytes=limit))
        await service.start()
        held = threading.Semaphore(0)
        engine.after_run = lambda: engine.runs[-1][0] != "detect" and held.acquire(timeout=30)
        long = [
            asyncio.create_task(service.analyse(image(40), Options(), StageTimes()))
            for _ in range(count)
        ]
        await until(lambda: engine.entered.is_set())
        new, most = service._gate._new, 0
        for _ in range(5):
            before = len(engine.runs)
            newcomer = asyncio.create_task(service.analyse(image(7), Options(), StageTimes()))
            while not newcomer.done():
                if service._workers.queue.requests or new.slots.waiting or new.bytes.waiting:
                    held.release()
                most = max(most, service._gate.held)
                await asyncio.sleep(0.001)
            await newcomer
            others = [kind for kind, (name, *_) in engine.runs[before:] if name != 7]
            assert len(others) < 30, "of hundreds"
        assert not any(one.done() for one in long)
        assert most <= limit
        assert service._gate._continued.bytes.held <= max(limit // 4, each)
        held.release(10**6)
        assert [len(answer.faces) for answer in await asyncio.gather(*long)] == [500] * count
        assert service._gate.held == 0
        service.close()

    asyncio.run(asyncio.wait_for(run(), 60))
