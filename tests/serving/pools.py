"""Workers with engines that only pretend, and what their answers say."""

from __future__ import annotations

import asyncio

from face_service.observability.metrics import Metrics
from face_service.serving.queue import ImageResult
from face_service.serving.worker import WorkerPool

from .engines import FakeEngine, entry


def pool_of(*engines: FakeEngine, batch: int = 1) -> WorkerPool:
    pool = WorkerPool(Metrics())
    for engine in engines:
        engine.max_batch_images = batch
        pool.add(engine)
    return pool


async def ask(pool: WorkerPool, *names: object) -> list[ImageResult]:
    return (await pool.run(entry(*names))).results


def ages(results: list[ImageResult]) -> list[list[object] | type[Exception]]:
    """The names of the images, as their faces say them."""
    return [
        type(result) if isinstance(result, Exception) else [face.age for face in result.faces]
        for result in results
    ]


async def queued(count: int) -> None:
    """Let tasks that were just created get as far as the queue."""
    for _ in range(count):
        await asyncio.sleep(0)


def counted(pool: WorkerPool, where: str, why: str) -> float:
    labels = {"where": where, "why": why}
    value = pool._metrics.registry.get_sample_value("face_service_cancelled_total", labels)
    return value or 0.0
