"""The pipeline of a request: check, reserve, decode, preprocess, predict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from face_service.errors import InvalidImage, OutOfMemory, RequestError
from face_service.face_engine import FaceEngine, Options, PreparedImage
from face_service.faces import preprocess
from face_service.observability.metrics import Metrics
from face_service.observability.timing import StageTimes
from face_service.vision.alignment import ARCFACE_SIZE, ARCFACE_TEMPLATE
from face_service.vision.image import check
from face_service.vision.known import KnownFace

from .answers import Answer, Part, as_answer, as_request_error, parts
from .cancelling import count_cancellation
from .decode_gate import DecodeGate, Reservation
from .decoded import CheckedPicture, DecodedImage, Picture, decode
from .queue import UNINTERRUPTED, QueueEntry
from .worker import WorkerPool

CHECKED_AT_ONCE = 1_000_000
"""Bytes of the largest image whose header is read on the event loop: that takes tens of
microseconds, less than to hand it to a thread."""
PART_IMAGES = 8
"""Most images of a part on a CPU: with a face in each they fill a run of the recogniser."""
PARTS_UNDER_WAY = 2
"""Parts of a request that are in memory at once: one is computed while the next is decoded."""


class Submit(Protocol):
    """Runs a call on a decoding thread."""

    def __call__(
        self, call: Callable[[CheckedPicture], PreparedImage], image: CheckedPicture, /
    ) -> Future[PreparedImage]:
        """Submit `call(image)`; the future has its result."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """Faces that need not be found. faces: of every image of the request. side: the width and
    height that an image has to have, in pixels; None: any."""

    faces: Sequence[KnownFace]
    side: int | None = None

    @property
    def detected(self) -> bool:
        """Whether the detector has to run: only the box of some face is known."""
        return any(face.landmarks is None for face in self.faces)


ALIGNED = Known((KnownFace(ARCFACE_TEMPLATE),), side=ARCFACE_SIZE)
"""The face of an aligned crop is where alignment puts it: it is embedded as it is."""


class ImagePipeline:
    """Takes the images of a request through decoding and the engines.

    A request is divided into parts, of which two are under way: memory does not depend on how many
    images it has. Belongs to one event loop.
    """

    def __init__(
        self,
        submit: Submit,
        gate: DecodeGate,
        workers: WorkerPool,
        max_pixels: int,
        metrics: Metrics,
    ) -> None:
        self._submit = submit
        self._decode_gate = gate
        self._workers = workers
        self._max_pixels = max_pixels
        self._metrics = metrics
        self._headers = ThreadPoolExecutor(1, thread_name_prefix="header")

    def configure(self, engine: FaceEngine) -> None:
        """Prepare images for engines like this one. To be called before `analyse`."""
        self._preprocessor = engine.preprocessor
        # A larger part is faster where many images are computed at once, and takes memory anywhere.
        self._max_images = max(PART_IMAGES, engine.max_batch_images)
        self._max_part = self._decode_gate.size // (16 if engine.max_batch_images == 1 else 8)

    def close(self) -> None:
        """Stop reading headers."""
        self._headers.shutdown(wait=False, cancel_futures=True)

    async def analyse(
        self,
        files: Sequence[Picture],
        options: Options,
        times: StageTimes,
        known: Known | None = None,
    ) -> tuple[list[Answer], float]:
        """An answer for each image, in order, and how many seconds they took an engine.

        An image that fails has a RequestError for its answer. The stages are added to `times`.
        Raises NotReady once decoding has been closed.
        """
        side = known.side if known else None
        answers: list[Answer | CheckedPicture] = [await self._check(data, side) for data in files]
        detected = known is None or known.detected
        overhead = self._overhead(options.det_size) if detected else 0
        fitting = {n: image for n, image in enumerate(answers) if isinstance(image, CheckedPicture)}
        under_way = asyncio.Semaphore(PARTS_UNDER_WAY)
        # One after the other, on each worker: side by side they would all end at the same time,
        # and nothing would be decoded meanwhile.
        computed = asyncio.Semaphore(max(1, len(self._workers)))
        # New requests wait for the slots of the first part: it may wait for none of the later ones.
        first_begun = asyncio.Event()

        async def compute(
            part: Part, reserved: AbstractAsyncContextManager[Reservation], allowance: int
        ) -> tuple[list[Answer], float] | None:
            """`_predict` the images of a part, once there is room to decode them."""
            async with reserved as reservation:
                images = [fitting[place] for place in part.places]
                decoded = await self._decode(images, options, known, overhead, reservation, times)
                with count_cancellation(self._metrics, "waiting"):
                    await computed.acquire()
                first_begun.set()
                try:
                    return await self._predict(decoded, allowance, reservation, times)
                finally:
                    computed.release()

        async def answer(number: int, part: Part) -> float:
            """Put the answers of a part in their places; the seconds that it took an engine."""
            found = None
            async with under_way:
                if number == 0:
                    images = len(part.places)
                    allowance = max(1, UNINTERRUPTED - len(fitting) + images)
                    reserved = self._decode_gate.reserve(images, part.size, times)
                    found = await compute(part, reserved, allowance)
                await first_begun.wait()
                while found is None:  # a later part, or one that takes long and had to go
                    # What the later parts wait for is the earlier ones: no time in a queue.
                    waiting = StageTimes() if number else times
                    reserved = self._decode_gate.reserve_next(part.size, waiting)
                    found = await compute(part, reserved, 0)
            answered, seconds = found
            for place, result in zip(part.places, answered, strict=True):
                answers[place] = result
            return seconds

        divided = parts(fitting, overhead, self._max_images, self._max_part)
        tasks = [asyncio.create_task(answer(n, part)) for n, part in enumerate(divided)]
        try:
            seconds = await asyncio.gather(*tasks)
        finally:
            for task in tasks:  # where one has failed, nobody waits for the others
                task.cancel()
        answered = [each for each in answers if not isinstance(each, CheckedPicture)]
        return answered, sum(seconds)

    def _overhead(self, det_size: int | None) -> int:
        """Most bytes of the detector's inputs for an image, on a canvas of that side in pixels."""
        preprocessor = self._preprocessor
        return (preprocessor.for_side(det_size) if det_size else preprocessor).max_bytes

    async def _check(self, data: Picture, side: int | None) -> CheckedPicture | RequestError:
        """Read the header of an image, of a large one on a thread of its own: it never waits for
        images that are decoded."""
        if isinstance(data, DecodedImage):
            return data
        try:
            if len(data) <= CHECKED_AT_ONCE:
                checked = check(data, self._max_pixels)
            else:
                waiting = self._headers.submit(check, data, self._max_pixels)
                checked = await asyncio.wrap_future(waiting)
        except Exception as error:
            return as_request_error(error)
        width, height = checked.header.width, checked.header.height
        if side is not None and (width, height) != (side, side):
            return InvalidImage(
                f"An aligned crop has {side}x{side} pixels, this image has {width}x{height}"
            )
        return checked

    async def _decode(
        self,
        images: Sequence[CheckedPicture],
        options: Options,
        known: Known | None,
        overhead: int,
        reservation: Reservation,
        times: StageTimes,
    ) -> list[PreparedImage | BaseException]:
        """Decode and preprocess images side by side: in order, each or what it has raised."""
        preprocessor = self._preprocessor

        def decode_and_preprocess(image: CheckedPicture) -> PreparedImage:
            pixels, quantisation = decode(image)
            if known is None:
                return preprocess(pixels, options, preprocessor, quantisation)
            inputs = preprocessor.preprocess(pixels) if known.detected else []
            boxes = sum(face.bbox is not None for face in known.faces)
            return PreparedImage(pixels, inputs, options, known.faces, boxes, quantisation)

        futures = [self._submit(decode_and_preprocess, image) for image in images]
        for future in futures:
            reservation.keep_until(future)
        with times.measure("decode"), count_cancellation(self._metrics, "decoding"):
            decoded = await asyncio.gather(
                *map(asyncio.wrap_future, futures), return_exceptions=True
            )
        prepared = [image for image in decoded if isinstance(image, PreparedImage)]
        reservation.shrink(sum(one.image.nbytes + overhead for one in prepared))
        return decoded

    async def _predict(
        self,
        decoded: Sequence[PreparedImage | BaseException],
        allowance: int,
        reservation: Reservation,
        times: StageTimes,
    ) -> tuple[list[Answer], float] | None:
        """An answer for each image, and how many seconds they took an engine. None if they take
        long and there is no memory to suspend them: they have to be decoded again, later."""
        loop = asyncio.get_running_loop()
        entry = QueueEntry(
            [image for image in decoded if isinstance(image, PreparedImage)],
            allowance,
            on_suspended=partial(call_on_loop, loop, partial(self._suspend, reservation)),
        )
        if not entry.images:
            return [as_request_error(error) for error in decoded], 0.0
        reservation.keep_until(entry.future)
        try:
            results, stages, seconds = await self._workers.run(entry)
        finally:
            if allowance:
                times.add("queue", entry.submitted, entry.began or time.perf_counter())
        times.include(stages)
        if len(results) < len(entry.images):
            return None
        self._metrics.failed.inc(sum(isinstance(one, Exception) for one in results))
        self._metrics.out_of_memory.inc(sum(isinstance(one, OutOfMemory) for one in results))
        remaining = iter(results)
        answers = [
            as_answer(image, next(remaining))
            if isinstance(image, PreparedImage)
            else as_request_error(image)
            for image in decoded
        ]
        return answers, seconds

    def _suspend(self, reservation: Reservation, entry: QueueEntry) -> None:
        """Keep the images of an entry that takes long, or cancel it where memory is lacking."""
        if not reservation.suspend():
            self._workers.queue.cancel(entry)


def call_on_loop(
    loop: asyncio.AbstractEventLoop, call: Callable[[QueueEntry], None], entry: QueueEntry
) -> None:
    """Have an event loop call something, from a thread that may outlive it."""
    with suppress(RuntimeError):  # it is closed
        loop.call_soon_threadsafe(call, entry)
