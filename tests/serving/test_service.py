"""The service: one bad image costs only itself, failures are told apart."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from structlog.contextvars import bound_contextvars, get_contextvars

from face_service.errors import (
    InferenceFailed,
    InvalidImage,
    NotReady,
    RequestError,
    StartupError,
)
from face_service.face_engine import Options
from face_service.observability.timing import StageTimes
from face_service.serving import supervisor
from face_service.serving.answers import ImageAnalysis
from face_service.serving.service import FaceService, Limits
from tests.images import encode

from .engines import POISON, FakeEngine, Unsound


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor that looks often and hardly pauses."""
    for name in ("WATCH_S", "FIRST_PAUSE_S", "LONGEST_PAUSE_S"):
        monkeypatch.setattr(supervisor, name, 0.01)


def image(width: int) -> bytes:
    return encode(np.zeros((10, width, 3), np.uint8), "PNG")


def answers(files: list[bytes]) -> list[ImageAnalysis | RequestError]:
    async def run() -> list[ImageAnalysis | RequestError]:
        service = FaceService(lambda _: FakeEngine(), Limits(max_pixels=10_000, decoders=2))
        await service.start()
        _, results = await service.analyse_many(files, Options(), StageTimes())
        service.close()
        return results

    return asyncio.run(run())


def test_one_poisoned_image_of_eight_costs_only_itself() -> None:
    results = answers([image(10 + n) if n != 5 else image(POISON) for n in range(8)])
    assert [type(result) for result in results] == [
        InferenceFailed if n == 5 else ImageAnalysis for n in range(8)
    ]
    assert [result.width for n, result in enumerate(results) if n != 5] == [
        10, 11, 12, 13, 14, 16, 17,
    ]  # fmt: skip


def test_what_is_no_image_never_reaches_the_engine() -> None:
    first, second, third = answers([image(20), b"text", image(30)])
    assert isinstance(first, ImageAnalysis)
    assert isinstance(second, InvalidImage)
    assert isinstance(third, ImageAnalysis)


def test_a_single_failure_is_raised() -> None:
    async def run() -> None:
        service = FaceService(lambda _: FakeEngine(), Limits(max_pixels=10_000, decoders=1))
        await service.start()
        with pytest.raises(InferenceFailed):
            await service.analyse(image(POISON), Options(), StageTimes())
        await service.analyse(image(50), Options(), StageTimes())

    asyncio.run(run())


def test_before_the_start_and_after_the_end_it_is_not_ready() -> None:
    async def run() -> None:
        service = FaceService(lambda _: FakeEngine(), Limits(max_pixels=10_000, decoders=1))
        assert service.status == "starting"
        with pytest.raises(NotReady, match="starting"):
            await service.analyse(image(50), Options(), StageTimes())
        await service.start()
        assert service.status == "healthy"
        service.close()
        with pytest.raises(NotReady, match="draining"):
            await service.analyse(image(50), Options(), StageTimes())

    asyncio.run(run())


@pytest.mark.parametrize("error", [StartupError("no such pack"), ValueError("odd file")])
def test_a_start_that_fails_says_why(error: Exception) -> None:
    def load(_: int) -> FakeEngine:
        raise error

    async def run() -> FaceService:
        service = FaceService(load, Limits(max_pixels=1, decoders=1))
        with pytest.raises(StartupError, match=str(error)):
            await service.start()
        return service

    service = asyncio.run(run())
    assert service.status == "failed"
    assert str(error) in str(service.failure)


def test_the_metrics_name_the_engine_that_computes_now() -> None:
    class Another(FakeEngine):
        info = SimpleNamespace(**{**vars(FakeEngine.info), "providers": ("AnotherProvider",)})

    engines = [Unsound(), Another()]

    async def run() -> None:
        service = FaceService(lambda _: engines.pop(0), Limits(max_pixels=10_000, decoders=1))
        assert computes(service) == []
        await service.start()
        assert computes(service) == ["FakeProvider"]
        watch = asyncio.create_task(service.watch())
        with pytest.raises(InferenceFailed):
            await service.analyse(image(POISON), Options(), StageTimes())
        async with asyncio.timeout(10):
            while engines:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            while computes(service) != ["AnotherProvider"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        watch.cancel()
        service.close()

    asyncio.run(run())


def computes(service: FaceService) -> list[str]:
    """The providers that the metrics name."""
    (info,) = service.metrics.info.collect()
    return [sample.labels["providers"] for sample in info.samples]


def test_what_is_logged_beside_the_event_loop_belongs_to_its_request() -> None:
    async def run() -> dict[str, object]:
        service = FaceService(lambda _: FakeEngine(), Limits(decoders=1))
        with bound_contextvars(request_id="frame-17"):
            seen = await service.run_in_pool(get_contextvars)
        service.close()
        return seen

    assert asyncio.run(run()) == {"request_id": "frame-17"}


@pytest.mark.usefixtures("hurried")
def test_a_failure_while_looking_after_the_engines_does_not_end_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, looks = FaceService(lambda _: FakeEngine(), Limits()), []

    def no_thread_to_be_had(_: float) -> tuple[int, int]:
        looks.append(1)
        if len(looks) == 1:
            raise RuntimeError("can't start new thread")
        return 0, 0

    async def watch() -> None:
        await service.start()
        monkeypatch.setattr(service._workers, "remove_failed", no_thread_to_be_had)
        watching = asyncio.create_task(service.watch())
        while len(looks) < 3 and not watching.done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        watching.cancel()

    asyncio.run(watch())
    service.close()
    assert len(looks) >= 3
    assert "can't start new thread" in caplog.text


@pytest.mark.usefixtures("hurried")
def test_a_process_that_gets_no_new_engine_ends() -> None:
    loads: list[int] = []

    def load(_: int) -> FakeEngine:
        loads.append(1)
        if len(loads) > 1:
            raise RuntimeError("CUDA failure 700: an illegal memory access was encountered")
        return FakeEngine()

    async def live() -> FaceService:
        service = FaceService(load, Limits())
        await service.start()
        service._workers._workers[0].broken = True
        with pytest.raises(StartupError, match=r"no new engine after 10 attempts.*CUDA failure"):
            await service.watch()
        return service

    service = asyncio.run(live())
    service.close()
    assert len(loads) == 11
    assert isinstance(service.failure, StartupError)


@pytest.mark.usefixtures("hurried")
def test_an_engine_lost_while_another_is_replaced_is_not_overlooked() -> None:
    loads: list[int] = []

    def load(_: int) -> FakeEngine:
        loads.append(1)
        if len(loads) > 2:
            raise RuntimeError("CUDA failure 2: out of memory")
        return FakeEngine()

    async def live() -> FaceService:
        service = FaceService(load, Limits(workers=2))
        await service.start()
        first, second = service._workers._workers
        watching = asyncio.create_task(service.watch())
        first.broken = True
        async with asyncio.timeout(10):
            while len(loads) < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert service.status == "healthy"
            second.broken = True
            with pytest.raises(StartupError, match="no new engine after"):
                await watching
        return service

    service = asyncio.run(live())
    service.close()
    assert service.failure is not None


@pytest.mark.usefixtures("hurried")
def test_every_worker_gets_an_engine_again() -> None:

    async def live() -> None:
        service = FaceService(lambda _: FakeEngine(), Limits(workers=3))
        await service.start()
        watching = asyncio.create_task(service.watch())
        before = list(service._workers._workers)
        for worker in before:
            worker.broken = True
        async with asyncio.timeout(10):
            while len(service._workers) < 3 or set(before) & set(service._workers._workers):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert service.status == "healthy"
        watching.cancel()
        service.close()

    asyncio.run(live())


@pytest.mark.parametrize(
    ("workers", "maps_weights", "fallback", "expected"),
    [
        pytest.param(0, True, None, 4, id="as many as there may be"),
        pytest.param(0, False, None, 1, id="each would have weights of its own"),
        pytest.param(0, True, "no card", 1, id="each would try the card in vain"),
        pytest.param(3, False, "no card", 3, id="as it was asked"),
    ],
)
def test_how_many_workers_there_are(
    workers: int, maps_weights: bool, fallback: str | None, expected: int
) -> None:
    loaded = []

    def load(number: int) -> FakeEngine:
        engine = FakeEngine()
        engine.maps_weights = maps_weights
        engine.info = SimpleNamespace(**{**vars(FakeEngine.info), "fallback": fallback})
        loaded.append(number)
        return engine

    async def run() -> None:
        service = FaceService(load, Limits(workers=workers, workers_on_cpu=4))
        await service.start()
        service.close()

    asyncio.run(run())
    assert loaded == list(range(expected))
