"""Any order in which decoders, engines, the event loop and clients come to act: every request is
answered or cancelled, nothing is held afterwards, and no new request waits for what takes long.

One thread plays all of them in an order drawn from a seed: what fails, fails again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from face_service.errors import EngineLost, InferenceFailed, InvalidImage, NotReady, RequestError
from face_service.face_engine import Options, PreparedImage
from face_service.observability.metrics import Metrics
from face_service.observability.timing import StageTimes
from face_service.serving.answers import ImageAnalysis
from face_service.serving.decode_gate import DecodeGate
from face_service.serving.decoders import Task, perform
from face_service.serving.pipeline import PARTS_UNDER_WAY, ImagePipeline
from face_service.serving.worker import EngineWorker, WorkerPool
from face_service.vision.detector import DetectorInput
from face_service.vision.image import Checked

from .engines import POISON, FakeEngine
from .test_service import image

FACES = {30: 0, 31: 2, 32: 5, 33: 70}
"""Of images, by their width; the last takes more runs than a request may without interruption."""
FILES = {width: image(width) for width in (*FACES, POISON)} | {0: b"no image"}
DECODERS = 2
ENOUGH = 100_000
"""Turns within which everything is answered."""


class Engine(FakeEngine):
    """Lets others act in the middle of every run."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(lambda width: FACES.get(width, 0))
        self.after_run = schedule.amid_run
        self.sound = True
        self.max_batch_images = schedule.random.choice([1, 1, 4])
        self.max_bytes = 1000

    @property
    def preprocessor(self) -> Engine:  # type: ignore[override]
        return self

    def preprocess(self, _: object) -> list[DetectorInput]:
        return []

    def self_test(self) -> None:
        if not self.sound:
            raise RuntimeError("nothing can be computed any more")


class Worker(EngineWorker):
    """One whose thread is this one; knows whether it runs what was suspended."""

    inside = resuming = False

    def turn(self) -> None:
        """Compute, if there is something to compute."""
        if self._may_go_on and (len(self._queue) or self._suspended):
            self.inside = True
            self._serve_next()
            self.inside = False

    def _resume(self) -> None:
        self.resuming = True
        super()._resume()
        self.resuming = False


class Schedule:
    """A service whose parts act one after the other, as the seed has it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.loop = asyncio.new_event_loop()
        self.metrics = Metrics()
        self.gate = DecodeGate(self.random.choice([9_000, 60_000, 10**9]), self.metrics)
        self.pool = WorkerPool(self.metrics)
        self.pipeline = ImagePipeline(self.submit, self.gate, self.pool, 10**6, self.metrics)
        self.submitted: deque[Task] = deque()
        self.decoding: list[Task] = []
        self.requests: list[tuple[Sequence[int], asyncio.Task[Any]]] = []
        self.faults = 0
        self.closed = self.ending = self.kept_out = False
        workers = self.random.choice([1, 1, 2])
        for _ in range(workers):
            self.add_worker()
        self.pipeline.configure(self.workers[0].engine)
        batches = workers * self.workers[0].engine.max_batch_images
        ahead = batches + max(batches, DECODERS)
        self.gate.set_concurrency(ahead, PARTS_UNDER_WAY * workers)

    @property
    def workers(self) -> list[Any]:
        return self.pool._workers

    def add_worker(self) -> None:
        self.workers.append(Worker(Engine(self), self.pool.queue, self.metrics))  # type: ignore[arg-type]

    def submit(self, call: Any, checked: Checked) -> Future[PreparedImage]:
        if self.ending:
            raise NotReady("The service is draining")
        future: Future[PreparedImage] = Future()
        self.submitted.append(Task(partial(call, checked), future))
        return future

    # What may happen, in any order

    def run_loop(self) -> None:
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def begin_decoding(self) -> None:
        while self.submitted and len(self.decoding) < DECODERS:
            task = self.submitted.popleft()
            if task.future.set_running_or_notify_cancel():
                self.decoding.append(task)

    def decode(self) -> None:
        self.begin_decoding()
        if self.decoding:
            perform(self.decoding.pop(self.random.randrange(len(self.decoding))))

    def compute(self) -> None:
        if idle := [worker for worker in self.workers if not worker.inside]:
            self.random.choice(idle).turn()

    def arrive(self) -> None:
        if self.closed:
            return
        how_many = self.random.choice([1, 1, 1, 2, 12, 32])
        files = self.random.choices(list(FILES), [8, 8, 8, 2, 1, 1], k=how_many)
        if how_many == 1 and self.random.random() < 0.2:
            files = [33]
        analyse = self.pipeline.analyse([FILES[file] for file in files], Options(), StageTimes())
        self.requests.append((files, self.loop.create_task(analyse)))

    def leave(self) -> None:
        if self.requests:
            self.random.choice(self.requests)[1].cancel()

    def lose_worker(self) -> None:
        """It hangs, and comes back when it has been given up; or breaks at the next failure."""
        if self.faults < 2 and self.random.random() < 0.1:
            self.faults += 1
            worker = self.random.choice(self.workers)
            if self.random.random() < 0.5:
                worker.engine.sound = False
                return
            worker.abandon()
            self.workers.remove(worker)
            self.add_worker()

    def supervise(self) -> None:
        self.pool.remove_failed(1e9)
        while not self.workers:
            self.add_worker()

    def act(self, *others: Any) -> None:
        often = [self.run_loop, self.run_loop, self.decode, self.decode]
        self.random.choice([*often, *others, self.leave, self.lose_worker, self.supervise])()

    def amid_run(self) -> None:
        """What happens while a network runs."""
        for _ in range(self.random.choice([0, 0, 1, 3])):
            self.act(self.arrive)
        if self.random.random() < 0.1:
            self.settle()
            self.check_new_requests()

    # What must hold

    def settle(self) -> None:
        """Let everybody but the engines do what there is to do."""
        self.run_loop()
        while self.loop._ready or self.submitted or self.decoding:  # type: ignore[attr-defined]
            self.decode()
            self.run_loop()

    def check_new_requests(self) -> None:
        """While nothing but what was suspended is computed, new requests are in the queue or have
        been suspended as well."""
        resuming = all(worker.resuming for worker in self.workers)
        if resuming and not self.pool.queue.requests and not self.gate._new.bytes.waiting:
            self.kept_out |= bool(self.gate._new.slots.waiting or self.gate._new.slots.held)

    def finish(self) -> None:
        self.closed = True
        self.ending = self.random.random() < 0.2
        for _ in range(ENOUGH):
            self.supervise()
            self.settle()
            if all(task.done() for _, task in self.requests):
                return
            waiting = len(self.pool.queue) + sum(len(one._suspended) for one in self.workers)
            assert waiting, f"lost: {[files for files, task in self.requests if not task.done()]}"
            self.compute()
        raise AssertionError("no end")

    def check_nothing_is_left(self) -> None:
        while self.pool.queue or any(worker._suspended for worker in self.workers):
            self.compute()
            self.supervise()
        self.settle()
        assert (self.gate.held, self.gate.waiting) == (0, 0)
        assert (self.gate._new.slots.held, self.gate._continued.slots.held) == (0, 0)
        assert self.gate._continued.slots.waiting == 0
        assert not self.gate._leaving
        assert not any(worker._consumer.entries for worker in self.workers)
        assert not asyncio.all_tasks(self.loop)

    def check_answers(self) -> None:
        for files, task in self.requests:
            if task.cancelled():
                continue
            if self.ending and isinstance(task.exception(), NotReady):
                continue
            answers, _ = task.result()
            for file, answer in zip(files, answers, strict=True):
                self.check(file, answer)

    def check(self, file: int, answer: ImageAnalysis | RequestError) -> None:
        if isinstance(answer, EngineLost):
            assert self.faults
        elif isinstance(answer, ImageAnalysis):
            assert (answer.width, len(answer.faces)) == (file, FACES[file])
        elif not file:
            assert isinstance(answer, InvalidImage)
        else:
            assert type(answer) is InferenceFailed
            assert file == POISON


@pytest.mark.parametrize("first", [0, 100])
def test_in_any_order_all_are_answered_and_nothing_is_left(
    first: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "face_service")  # what fails here fails on purpose
    for seed in range(first, first + 100):
        schedule = Schedule(seed)
        try:
            for _ in range(40):
                schedule.act(schedule.arrive, schedule.compute, schedule.compute)
            schedule.finish()
            schedule.check_answers()
            assert not schedule.kept_out, "a new request waited for what takes long"
            schedule.check_nothing_is_left()
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        finally:
            schedule.pipeline.close()
            schedule.loop.close()
