"""Groupings run one after the other, and end where nobody waits for them."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from face_service.errors import NotReady, OutOfMemory
from face_service.grouping.faces import Faces
from face_service.grouping.grouping import GroupOptions
from face_service.observability.metrics import Metrics
from face_service.observability.timing import StageTimes
from face_service.serving import grouping
from face_service.serving.grouping import GroupingRunner

OPTIONS = GroupOptions(0.3, 0.3)


def faces(count: int) -> Faces:
    vectors = np.random.default_rng(0).standard_normal((count, 512))
    return Faces(
        (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        np.full(count, np.nan),
        np.full((count, 4), np.nan, np.float32),
        np.full(count, np.nan, np.float32),
        np.zeros(count, np.int64),
    )


def test_a_cancelled_grouping_ends_and_one_that_waits_never_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, begun = threading.Event(), []

    def endless(given: Faces, options: GroupOptions, pool: object, checkpoint: object) -> None:
        begun.append(len(given))
        began.set()
        while len(given) > 1:
            checkpoint()  # type: ignore[operator]
        return real(given, options, pool, checkpoint)

    real = grouping.group
    monkeypatch.setattr(grouping, "group", endless)
    metrics = Metrics()
    runner = GroupingRunner(2, metrics)

    async def run() -> None:
        first = asyncio.create_task(runner.run(faces(2), OPTIONS, StageTimes()))
        await asyncio.to_thread(began.wait)
        second = asyncio.create_task(runner.run(faces(3), OPTIONS, StageTimes()))
        await asyncio.sleep(0)
        second.cancel()
        first.cancel("deadline")
        await asyncio.gather(first, second, return_exceptions=True)
        times = StageTimes()
        found = await runner.run(faces(1), OPTIONS, times)
        assert [group.faces for group in found.groups] == [[0]]
        assert set(times) == {"queue", "group"}

    asyncio.run(run())
    runner.close()
    assert begun == [2, 1]
    text = metrics.render().decode()
    assert 'cancelled_total{where="computing",why="deadline"} 1.0' in text
    assert 'cancelled_total{where="waiting",why="client"} 1.0' in text


def test_after_the_end_there_is_no_grouping() -> None:
    runner = GroupingRunner(1, Metrics())
    runner.close()
    with pytest.raises(NotReady, match="draining"):
        asyncio.run(runner.run(faces(2), OPTIONS, StageTimes()))


def test_memory_that_runs_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(grouping, "group", full)
    runner = GroupingRunner(1, Metrics())
    with pytest.raises(OutOfMemory):
        asyncio.run(runner.run(faces(2), OPTIONS, StageTimes()))
    runner.close()
