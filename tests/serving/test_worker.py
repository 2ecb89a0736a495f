"""Workers: in order, each answer to its own asker, cancelled work never run, batches formed."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest

from face_service.errors import InferenceFailed
from face_service.face_engine import Options, PreparedImage
from face_service.serving.cancelling import DEADLINE
from face_service.serving.queue import ImageResult, Prediction, QueueEntry
from tests.wire import settled

from .engines import POISON, FakeEngine, entry, prepared
from .pools import ages, ask, counted, pool_of, queued


def test_work_runs_in_order_and_one_at_a_time() -> None:
    engine = FakeEngine(lambda _: 1)

    async def run() -> list[list[ImageResult]]:
        pool = pool_of(engine)
        return await asyncio.gather(*(ask(pool, n) for n in range(200, 400)))

    assert [ages(results) for results in asyncio.run(run())] == [[[n]] for n in range(200, 400)]
    assert engine.detected == list(range(200, 400))
    assert engine.most_inside == 1


def test_what_waits_is_taken_in_one_batch_where_the_provider_likes_it() -> None:
    engine = FakeEngine(lambda _: 1)
    engine.gate.clear()

    async def run() -> list[list[ImageResult]]:
        pool = pool_of(engine, batch=4)
        first = asyncio.create_task(ask(pool, "a"))
        await asyncio.to_thread(engine.entered.wait, 10)
        rest = [asyncio.create_task(ask(pool, *name)) for name in ("b", "cd", "e", "f", "g")]
        await queued(3)
        engine.gate.set()
        return [await first, *(await asyncio.gather(*rest))]

    answers = [ages(results) for results in asyncio.run(run())]
    embedded = [names for kind, names in engine.runs if kind == "embed"]
    assert embedded == [["a"], ["b", "c", "d", "e"], ["f", "g"]]
    assert answers == [[["a"]], [["b"]], [["c"], ["d"]], [["e"]], [["f"]], [["g"]]]


def test_faces_are_described_in_pieces_across_the_images_of_a_batch() -> None:
    faces = {"a": 5, "b": 0, "c": 13}
    engine = FakeEngine(lambda name: faces[name])

    async def run() -> list[ImageResult]:
        return await ask(pool_of(engine), *faces)

    assert ages(asyncio.run(run())) == [["a"] * 5, [], ["c"] * 13]
    pieces = [names for kind, names in engine.runs if kind == "embed"]
    assert pieces == [["a"] * 5 + ["c"] * 3, ["c"] * 8, ["c"] * 2]


def test_only_faces_of_which_the_same_is_wanted_are_described_together() -> None:
    engine = FakeEngine(lambda _: 2)

    async def run() -> None:
        pool = pool_of(engine)
        images = [prepared(1), prepared(2, Options(attributes=False)), prepared(3)]
        assert ages((await pool.run(QueueEntry(images))).results) == [[1, 1], [2, 2], [3, 3]]

    asyncio.run(run())
    assert [names for kind, names in engine.runs if kind == "embed"] == [[1, 1, 3, 3], [2, 2]]


@pytest.mark.parametrize("batch", [1, 8])
def test_a_poisoned_image_costs_only_itself_and_only_its_run_is_repeated(batch: int) -> None:
    """Eight images of two faces, of which the third fails where it is embedded: the run that it
    shared with three others is repeated, and nothing else."""

    class Poisoned(FakeEngine):
        def run(self, kind: str, names: list[object]) -> None:
            super().run(kind, [n for n in names if kind == "embed" or n != POISON])

    engine = Poisoned(lambda _: 2)

    async def run() -> list[ImageResult]:
        return await ask(pool_of(engine, batch=batch), 1, 2, POISON, 4, 5, 6, 7, 8)

    found = ages(asyncio.run(run()))
    assert found == [RuntimeError if n == 3 else [n, n] for n in range(1, 9)]
    embedded = [names for kind, names in engine.runs if kind == "embed"]
    shared = [1, 1, 2, 2, POISON, POISON, 4, 4]
    assert embedded == [
        shared, [1, 1], [2, 2], [POISON] * 2, [4, 4], [5, 5, 6, 6, 7, 7, 8, 8],
    ]  # fmt: skip
    assert len([kind for kind, _ in engine.runs if kind == "detect"]) == 8, "none twice"


def test_images_are_looked_at_together_where_the_detector_takes_several() -> None:
    engine = FakeEngine(lambda _: 1)
    engine.images_per_run = 4

    async def run() -> list[ImageResult]:
        return await ask(pool_of(engine, batch=8), *range(1, 7))

    assert ages(asyncio.run(run())) == [[n] for n in range(1, 7)]
    assert [names for kind, names in engine.runs if kind == "detect"] == [[1, 2, 3, 4], [5, 6]]


def test_where_a_run_of_several_images_fails_each_is_looked_at_alone() -> None:
    engine = FakeEngine(lambda _: 1)
    engine.images_per_run = 4

    async def run() -> list[ImageResult]:
        return await ask(pool_of(engine, batch=8), 1, POISON, 3)

    assert ages(asyncio.run(run())) == [[1], RuntimeError, [3]]
    detected = [names for kind, names in engine.runs if kind == "detect"]
    assert detected == [[1, POISON, 3], [1], [POISON], [3]]


def test_an_image_that_cannot_be_looked_at_costs_only_itself() -> None:
    engine = FakeEngine(lambda _: 1)

    async def run() -> list[ImageResult]:
        return await ask(pool_of(engine), 1, POISON, 3)

    assert ages(asyncio.run(run())) == [[1], RuntimeError, [3]]


def test_a_face_that_is_not_a_number_never_leaves() -> None:
    """`validate` is what a worker does with every face, not a function that stands alone."""

    class Nan(FakeEngine):
        def describe(self, *arguments: object) -> object:
            faces = yield from super().describe(*arguments)
            return [
                replace(face, embedding=np.full(512, np.nan, np.float32)) if face.age == 2 else face
                for face in faces
            ]

    async def run() -> list[ImageResult]:
        return await ask(pool_of(Nan(lambda _: 1)), 1, 2, 3)

    assert ages(asyncio.run(run())) == [[1], InferenceFailed, [3]]


@pytest.mark.parametrize("batch", [1, 8])
def test_cancelled_before_its_turn_never_reaches_the_engine(batch: int) -> None:
    engine = FakeEngine(lambda _: 1)
    engine.gate.clear()

    async def run() -> None:
        pool = pool_of(engine, batch=batch)
        first = asyncio.create_task(ask(pool, 1))
        await asyncio.to_thread(engine.entered.wait, 10)
        second = asyncio.create_task(ask(pool, 2))
        third = asyncio.create_task(ask(pool, 3))
        await queued(3)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        engine.gate.set()
        assert ages(await first) == [[1]]
        assert ages(await third) == [[3]]
        assert counted(pool, "waiting", "client") == 1

    asyncio.run(run())
    assert engine.detected == [1, 3]


@pytest.mark.parametrize(("message", "why"), [(None, "client"), (DEADLINE, "deadline")])
@pytest.mark.parametrize("before", [1, 2, 3, 4, 9])
def test_what_is_abandoned_ends_before_the_next_network(
    message: str | None, why: str, before: int
) -> None:
    """Of 8 images of 12 faces, cancelled in the middle of one of their runs."""
    engine = FakeEngine(lambda _: 12)

    async def run() -> None:
        pool = pool_of(engine)
        cancelled = threading.Event()
        loop = asyncio.get_running_loop()

        def cancel() -> None:
            if len(engine.runs) == before:
                loop.call_soon_threadsafe(asking.cancel, message)
                assert cancelled.wait(10)

        engine.after_run = cancel
        mine = entry(*range(8))
        asking = asyncio.create_task(pool.run(mine))
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert counted(pool, "computing", why) == 1
        cancelled.set()
        await asyncio.wrap_future(mine.future)  # so that its pixels may go
        assert ages(await ask(pool, 50)) == [[50] * 12]

    asyncio.run(run())
    kinds = [names for _, names in engine.runs if 50 not in names]
    assert len(kinds) == before, "it went on for nobody"


def test_of_a_batch_only_what_is_abandoned_is_left_out() -> None:
    engine = FakeEngine(lambda _: 8)
    engine.gate.clear()

    async def run() -> list[ImageResult]:
        pool = pool_of(engine, batch=3)
        blocker = asyncio.create_task(ask(pool, 0))
        await asyncio.to_thread(engine.entered.wait, 10)
        tasks = [asyncio.create_task(ask(pool, n)) for n in (1, 2, 3)]
        await queued(3)
        reached = threading.Event()

        def hold() -> None:
            if engine.detected[-1] == 1 and not reached.is_set():
                engine.gate.clear()
                reached.set()

        engine.after_run = hold
        engine.gate.set()
        await asyncio.to_thread(reached.wait, 10)
        tasks[1].cancel()
        await asyncio.gather(tasks[1], return_exceptions=True)
        engine.gate.set()
        await blocker
        return [*await tasks[0], *await tasks[2]]

    assert ages(asyncio.run(run())) == [[1] * 8, [3] * 8]
    assert [names[0] for kind, names in engine.runs if kind == "embed"] == [0, 1, 3]


def test_the_time_of_a_batch_is_shared_by_its_requests() -> None:
    """`Retry-After` is told from how long each request kept the engine busy."""
    engine = FakeEngine()
    engine.gate.clear()

    async def run() -> list[float]:
        pool = pool_of(engine, batch=16)
        blocker = asyncio.create_task(ask(pool, 0))
        await asyncio.to_thread(engine.entered.wait, 10)
        tasks = [asyncio.create_task(pool.run(entry(n))) for n in range(1, 17)]
        await queued(3)
        engine.after_run = lambda: threading.Event().wait(0.01)
        started = time.perf_counter()
        engine.gate.set()
        await blocker
        shares = [prediction.seconds for prediction in await asyncio.gather(*tasks)]
        assert sum(shares) <= time.perf_counter() - started, "each was charged for all"
        return shares

    shares = asyncio.run(run())
    assert shares[-1] >= 0.01, "the last one is answered when all 16 have been looked at"


@pytest.mark.parametrize("batch", [1, 3])
def test_closing_finishes_what_is_in_the_queue(batch: int) -> None:
    async def run() -> list[list[ImageResult]]:
        pool = pool_of(FakeEngine(lambda n: 100 * n), FakeEngine(lambda n: 100 * n), batch=batch)
        pending = [asyncio.create_task(ask(pool, n)) for n in range(7)]
        await queued(3)
        pool.close(stall_timeout=10)
        return await asyncio.gather(*pending)

    assert [ages(results) for results in asyncio.run(run())] == [[[n] * 100 * n] for n in range(7)]


@pytest.mark.parametrize("faces", [0, 2, 500])
def test_the_pixels_of_an_answered_entry_are_free_at_once(faces: int) -> None:
    """Not when the garbage collector next looks for cycles: it counts objects, not megabytes."""
    engine = FakeEngine(lambda _: faces)

    async def run() -> None:
        pool = pool_of(engine)
        pixels = np.zeros((1, 7, 3), np.uint8)
        freed = weakref.ref(pixels)
        mine = QueueEntry([PreparedImage(pixels, [], Options())])
        del pixels
        prediction = await pool.run(mine)
        assert len(prediction.results) == 1
        del mine
        await asyncio.to_thread(settled, lambda: freed() is None)

    gc.disable()
    try:
        asyncio.run(run())
    finally:
        gc.enable()


def test_what_the_detector_was_shown_is_free_while_faces_are_described() -> None:
    engine = FakeEngine(lambda _: 2)
    mine = QueueEntry([PreparedImage(n, [object()] * n, Options()) for n in (1, 2)])
    left: list[int] = []

    def note() -> None:
        if engine.runs[-1][0] == "embed":
            left.extend(len(image.inputs) for image in mine.images)

    engine.after_run = note

    async def run() -> Prediction:
        return await pool_of(engine).run(mine)

    assert ages(asyncio.run(run()).results) == [[1, 1], [2, 2]]
    assert left == [0, 0]
