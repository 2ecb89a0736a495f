"""A batch: entries that an engine computes together, one run of a network after the other."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice
from math import ceil

from face_service.face_engine import Face, FaceEngine, Options, PreparedImage
from face_service.observability.timing import StageTimes
from face_service.vision.closer import Coverage
from face_service.vision.detections import DetectedFace
from face_service.vision.gate_policy import Verdict

from .queue import ImageResult, Predicted, Prediction, QueueEntry
from .validation import validate

STAGES = ("detect", "align", "quality", "embed", "attributes")
"""Stages that a batch gives times of in any case. A pack with a verifier adds `verify`."""


class ImageTask:
    """The state of one image. passes: runs of the detector that it may take, its inputs and further
    looks. found: number of faces. pending: those that are not described yet. omitted: faces left
    out because of MAX_FACES. result: None until the image is done."""

    def __init__(self, entry: QueueEntry, image: PreparedImage) -> None:
        self.entry = entry
        self.image = image
        self.passes = (len(image.inputs) or int(image.known is None)) + image.further
        self.found = 0
        self.pending: deque[DetectedFace] = deque()
        self.described: list[Face] = []
        self.omitted = 0
        self.coverage: Coverage | None = None
        self.result: ImageResult | None = None

    @property
    def options(self) -> Options:
        """The options of its request."""
        return self.image.options

    @property
    def wanted(self) -> bool:
        """Whether its result is missing and still needed."""
        return self.result is None and self.entry.wanted


class Batch:
    """Computes entries on an engine whenever `advance` is called.

    An image that fails costs only itself: a run that held faces of several is repeated for each.
    Every entry is answered as soon as all its images are. failed: whether an image failed during
    the last call of `advance`. faces: how many have been described. verdicts: number of images
    so far by verdict of the gate.
    """

    def __init__(self, engine: FaceEngine, entries: Sequence[QueueEntry]) -> None:
        self.entries = entries
        self.failed = False
        self.faces = 0
        self.verdicts: Counter[Verdict] = Counter()
        self._engine = engine
        self._times = StageTimes()
        self._seconds = 0.0
        self._images = sum(len(entry.images) for entry in entries)
        self._tasks = [ImageTask(entry, image) for entry in entries for image in entry.images]
        self._work = self._run()

    def advance(self) -> bool:
        """Go on until the next network has run. False once there is nothing left to do."""
        self.failed = False
        started = time.perf_counter()
        if self.wanted:
            next(self._work, None)
        self._seconds += time.perf_counter() - started
        self._answer()
        if not self._tasks:
            self._work.close()  # a cycle of its frame and this batch would keep the images
        return bool(self._tasks)

    @property
    def wanted(self) -> bool:
        """Whether the result of any image is missing and still needed."""
        return any(task.wanted for task in self._tasks)

    @property
    def interruptible(self) -> bool:
        """Whether all entries that are left are known to need more runs than their allowance."""
        return all(self._exceeds_allowance(task.entry) for task in self._tasks)

    def _exceeds_allowance(self, entry: QueueEntry) -> bool:
        """Whether the runs known so far are more than that: passes of the detector, and pieces of
        the faces that were found."""
        tasks = [task for task in self._tasks if task.entry is entry]
        passes = ceil(sum(task.passes for task in tasks) / self._engine.images_per_run)
        pieces = ceil(sum(task.found for task in tasks) / self._engine.piece)
        runs = passes + pieces * self._engine.runs_per_piece(tasks[0].options)
        return runs > entry.allowance

    def _run(self) -> Generator[None, None, None]:
        together = len(self._tasks) if self._engine.images_per_run > 1 else 1
        waiting = deque(self._tasks)
        while waiting:
            group = [waiting.popleft() for _ in range(together)]
            if wanted := [task for task in group if task.wanted]:
                yield from self._detect(wanted)
                yield
        while piece := self._next_piece():
            yield from self._describe(piece)
            yield

    def _detect(self, tasks: Sequence[ImageTask]) -> Iterator[None]:
        try:
            if len(tasks) == 1:
                found = [(yield from self._engine.detect(tasks[0].image, self._times))]
            else:
                images = [task.image for task in tasks]
                found = yield from self._engine.detect_together(images, self._times)
        except Exception as error:
            yield from self._each_alone(tasks, error, lambda task: self._detect([task]))
        else:
            for task, each in zip(tasks, found, strict=True):
                self.verdicts[each.verdict] += 1
                task.found = len(each.faces)
                task.pending.extend(each.faces)
                task.omitted, task.coverage = each.omitted, each.coverage
                self._finish(task)
        finally:
            for task in tasks:  # some MB, needed no more even where the image is kept
                task.image.inputs.clear()

    def _each_alone(
        self,
        tasks: Sequence[ImageTask],
        error: Exception,
        again: Callable[[ImageTask], Iterator[None]],
    ) -> Iterator[None]:
        """After an error of a step: an image that was alone in it fails, of several each is done
        again alone."""
        if len(tasks) == 1:
            self._fail(tasks[0], error)
            return
        for task in tasks:
            yield
            yield from again(task)

    def _next_piece(self) -> list[tuple[ImageTask, DetectedFace]]:
        """The next faces that may be described together, of one image or several; those of
        entries within their allowance first."""
        tasks = [task for task in self._tasks if task.wanted and task.pending]
        tasks.sort(key=lambda task: self._exceeds_allowance(task.entry))
        pairs = (
            (task, task.pending.popleft())
            for task in tasks
            if task.options == tasks[0].options
            for _ in range(len(task.pending))
        )
        return list(islice(pairs, self._engine.piece))

    def _describe(
        self, piece: Sequence[tuple[ImageTask, DetectedFace]]
    ) -> Generator[None, None, None]:
        faces, options = [face for _, face in piece], piece[0][0].options
        tasks = list(dict.fromkeys(task for task, _ in piece))
        try:
            described = yield from self._engine.describe(faces, options, self._times)
            validate(described)
        except Exception as error:
            yield from self._each_alone(
                tasks,
                error,
                lambda task: self._describe([pair for pair in piece if pair[0] is task]),
            )
            return
        self.faces += len(described)
        for (task, _), face in zip(piece, described, strict=True):
            task.described.append(face)
        for task in tasks:
            self._finish(task)

    def _finish(self, task: ImageTask) -> None:
        if not task.pending and task.result is None:
            task.result = Predicted(self._engine.info, task.described, task.omitted, task.coverage)

    def _fail(self, task: ImageTask, error: Exception) -> None:
        task.result = error
        self.failed = True

    def _answer(self) -> None:
        """Answer the entries that are complete, and forget their images."""
        for entry in {task.entry: None for task in self._tasks}:
            results = [task.result for task in self._tasks if task.entry is entry]
            complete = [result for result in results if result is not None]
            if len(complete) == len(results) or not entry.wanted:
                self._tasks = [task for task in self._tasks if task.entry is not entry]
                share = self._seconds * len(entry.images) / self._images
                times = self._times_so_far()
                entry.resolve(Prediction(complete, times, share))

    def _times_so_far(self) -> StageTimes:
        times = StageTimes()
        times.include(self._times)
        now = time.perf_counter()
        for stage in STAGES:  # every stage has a time, where there were no faces as well
            if stage not in times:
                times.add(stage, now, now)
        return times
