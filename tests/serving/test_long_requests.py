"""Requests that take long, at the decode gate: files by the dozen and crowds in large pictures hold
few images and little memory, and nobody waits for what they hold."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import numpy as np
import pytest

from face_service.face_engine import Options
from face_service.observability.timing import StageTimes
from face_service.serving.service import FaceService
from face_service.vision.detector import DetectorInput

from .engines import FakeEngine
from .test_decode_gate import AHEAD, LIMITS, Held, charge, until
from .test_service import image


class Long(FakeEngine):
    """A picture of 40 pixels' width shows 500 faces, of 41 pixels' 20; any other shows none."""

    def __init__(self) -> None:
        super().__init__(lambda width: {40: 500, 41: 20}.get(width, 0))


def test_what_takes_long_keeps_its_memory_and_gives_its_slot_back() -> None:
    """Or as many of those as there are slots would have everybody else wait for them to end."""
    engine = Long()

    async def run() -> None:
        service = FaceService(lambda _: engine, LIMITS)
        await service.start()
        held = threading.Semaphore(0)
        engine.after_run = lambda: engine.runs[-1][1][0] == 40 and held.acquire(timeout=30)
        long = [
            asyncio.create_task(service.analyse(image(40), Options(), StageTimes()))
            for _ in range(AHEAD)
        ]
        await until(lambda: service._decode_gate._new.slots.held == AHEAD)
        held.release(AHEAD)
        await until(lambda: service._decode_gate._new.slots.held < AHEAD)
        newcomer = asyncio.create_task(service.analyse(image(7), Options(), StageTimes()))
        while not newcomer.done():
            held.release()
            await asyncio.sleep(0.001)
        await newcomer
        each = 10 * 40 * 3 + engine.preprocessor.max_bytes
        assert service._decode_gate.held == AHEAD * each, "nobody's pixels have gone"
        held.release(10**6)
        await asyncio.gather(*long)
        assert service._decode_gate.held == 0
        service.close()

    asyncio.run(asyncio.wait_for(run(), 60))


@pytest.mark.parametrize("count", [1, 4, 12])
def test_images_that_take_long_never_take_the_memory_of_new_requests(count: int) -> None:
    """Large pictures of crowds: four of them would fill the budget. Those for which there is no
    room beside others that take long are decoded again when there is."""
    engine = Long()
    each = 10 * 40 * 3 + engine.preprocessor.max_bytes
    limit = 4 * (charge(40) + engine.preprocessor.max_bytes)

    async def run() -> None:
        service = FaceService(lambda _: engine, replace(LIMITS, max_decoded_bytes=limit))
        await service.start()
        held = threading.Semaphore(0)
        engine.after_run = lambda: engine.runs[-1][0] != "detect" and held.acquire(timeout=30)
        long = [
            asyncio.create_task(service.analyse(image(40), Options(), StageTimes()))
            for _ in range(count)
        ]
        await until(lambda: engine.entered.is_set())
        new, most = service._decode_gate._new, 0
        for _ in range(5):
            before = len(engine.runs)
            newcomer = asyncio.create_task(service.analyse(image(7), Options(), StageTimes()))
            while not newcomer.done():
                if service._workers.queue.requests or new.slots.waiting or new.bytes.waiting:
                    held.release()
                most = max(most, service._decode_gate.held)
                await asyncio.sleep(0.001)
            await newcomer
            others = [kind for kind, (name, *_) in engine.runs[before:] if name != 7]
            assert len(others) < 30, "of hundreds"
        assert not any(one.done() for one in long)
        assert most <= limit
        assert service._decode_gate._continued.bytes.held <= max(limit // 4, each)
        held.release(10**6)
        assert [len(answer.faces) for answer in await asyncio.gather(*long)] == [500] * count
        assert service._decode_gate.held == 0
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
        service = FaceService(lambda _: engine, LIMITS)
        await service.start()
        batch = asyncio.create_task(service.analyse_many([image(41)] * 32, Options(), StageTimes()))
        await until(lambda: service._decode_gate.held == 16 * 10 * 41 * 3)
        await asyncio.sleep(0.1)
        assert engine.prepared == 16, "one part is computed, the next is decoded"
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
        await until(lambda: service._workers.queue.requests == 1 or newcomer.done())
        assert not newcomer.done(), newcomer
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


class Slow(Held):
    """Decodes one picture of 42 pixels' width in its own time."""

    def __init__(self) -> None:
        super().__init__()
        self.faces_in = lambda width: 5 if width != 7 else 0
        self.last = threading.Event()

    def preprocess(self, pixels: np.ndarray) -> list[DetectorInput]:  # type: ignore[override]
        if pixels.shape[1] == 42:
            assert self.last.wait(30)
        return super().preprocess(pixels)


def test_the_first_part_waits_for_no_later_one() -> None:
    """It has the slots that new requests wait for. A decoder that is slow with one of its images
    does not let the next part go first."""
    engine = Slow()

    async def run() -> None:
        service = FaceService(lambda _: engine, LIMITS)
        await service.start()
        files = [image(41)] * 7 + [image(42)] + [image(41)] * 24
        batch = asyncio.create_task(service.analyse_many(files, Options(), StageTimes()))
        await until(lambda: engine.prepared >= 7)
        await asyncio.sleep(0.1)  # for the next part, if it did
        engine.last.set()
        await until(lambda: engine.prepared == 16 and engine.entered.is_set())
        newcomer = asyncio.create_task(service.analyse(image(7), Options(), StageTimes()))
        await asyncio.wait_for(until(lambda: service._workers.queue.requests == 1), 20)
        engine.gate.set()
        await newcomer
        assert engine.runs[1] == ("detect", [7])
        _, answers = await batch
        assert [answer.width for answer in answers] == [41] * 7 + [42] + [41] * 24
        service.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_later_parts_hold_nothing_until_the_first_is_let_in() -> None:
    """Or two requests that wait would keep those that have begun from their next parts."""
    engine = Held()

    async def run() -> None:
        service = FaceService(lambda _: engine, LIMITS)
        await service.start()
        single = [
            asyncio.create_task(service.analyse(image(7), Options(), StageTimes()))
            for _ in range(AHEAD)
        ]
        await until(lambda: engine.prepared == AHEAD)
        batch = asyncio.create_task(service.analyse_many([image(41)] * 16, Options(), StageTimes()))
        await until(lambda: service._decode_gate.waiting == 1)
        await asyncio.sleep(0.1)
        assert engine.prepared == AHEAD
        assert service._decode_gate._continued.slots.held == 0
        engine.gate.set()
        await asyncio.gather(batch, *single)
        assert service._decode_gate.held == 0
        service.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_of_a_batch_whose_client_has_gone_nothing_more_is_decoded_or_computed() -> None:
    engine = Held()
    engine.faces_in = lambda _: 20

    async def run() -> int:
        service = FaceService(lambda _: engine, LIMITS)
        await service.start()
        batch = asyncio.create_task(service.analyse_many([image(41)] * 32, Options(), StageTimes()))
        await until(
            lambda: service._decode_gate.held == 16 * 10 * 41 * 3 and engine.entered.is_set()
        )
        batch.cancel()
        await asyncio.gather(batch, return_exceptions=True)
        engine.gate.set()
        await until(lambda: service._decode_gate.held == 0)
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
        service = FaceService(lambda _: engine, LIMITS)
        await service.start()
        batch = asyncio.create_task(service.analyse_many([image(7)] * 32, Options(), StageTimes()))
        await until(lambda: service._decode_gate.held == 12 * (5_000_000 + 10 * 7 * 3))
        await asyncio.sleep(0.1)
        prepared = engine.prepared
        engine.gate.set()
        await batch
        service.close()
        return prepared

    assert asyncio.run(asyncio.wait_for(run(), 60)) == 12
    assert engine.prepared == 32
