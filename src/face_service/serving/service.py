"""The service behind the routes: checks, decodes, hands images to the workers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Literal, ParamSpec, TypeVar

from face_service import __version__
from face_service.errors import (
    ImageTooLarge,
    NotReady,
    OutOfMemory,
    RequestError,
    StartupError,
)
from face_service.face_engine import EngineInfo, FaceEngine, Options, PreparedImage
from face_service.metrics import Metrics
from face_service.runtime.threads import step_back
from face_service.stages import StageTimes
from face_service.vision.image import Checked, check, decode_checked
from face_service.vision.scrfd import DetectorPreprocessor

from .admission import Admission
from .answers import Analysis, Answer, Part, as_answer, as_request_error, parts
from .decode_gate import DecodeGate, Reservation
from .queue import UNINTERRUPTED, QueueEntry
from .supervisor import EngineSupervisor
from .worker import WorkerPool

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Status = Literal["starting", "healthy", "recovering", "failed", "draining"]

CHECKED_AT_ONCE = 1_000_000
"""Bytes of an image whose header is read on the event loop, which takes tens of microseconds:
less than to hand it to a thread."""
PART_IMAGES = 8
"""Images of a request that are computed together, if their faces fill one run of the recogniser."""
PARTS_UNDER_WAY = 2
"""Parts of a request: one is computed while the next is decoded."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be held and how long, by the settings of the same names."""

    lanes: int = 1
    decoders: int = 1
    max_queue: int = 64
    max_pixels: int = 50_000_000
    max_decoded_bytes: int = 512_000_000
    stall_timeout: float = 20.0

    def ahead(self, batch_images: int) -> int:
        """Images that are worth decoding: a batch of every worker, the next one of each, and what
        is being decoded."""
        return self.decoders + 2 * self.lanes * batch_images

    def part(self, batch_images: int) -> tuple[int, int]:
        """Images and bytes that a part of a request may have. Larger ones are faster where an
        engine likes many images at once, and take memory everywhere."""
        if batch_images == 1:
            return PART_IMAGES, self.max_decoded_bytes // 16
        return batch_images, self.max_decoded_bytes // 4


class FaceService:
    """Answers images with faces once `load` has returned an engine for every lane."""

    def __init__(
        self,
        load: Callable[[], FaceEngine],
        limits: Limits,
        metrics: Metrics | None = None,
        progress: Callable[[], str] = str,
    ) -> None:
        self._progress = progress
        self._limits = limits
        self._decoders = ThreadPoolExecutor(
            limits.decoders, thread_name_prefix="decode", initializer=step_back
        )
        self._started = time.monotonic()
        self.admission = Admission(limits.max_queue)
        self.metrics = metrics or Metrics()
        self._headers = ThreadPoolExecutor(1, thread_name_prefix="header")
        self._workers = WorkerPool(self.metrics)
        self._supervisor = EngineSupervisor(
            load,
            self._workers,
            limits.lanes,
            limits.stall_timeout,
            self.metrics,
            self._on_engine_ready,
        )
        self._gate = DecodeGate(limits.max_decoded_bytes, self.metrics)
        self._preprocessor: DetectorPreprocessor | None = None
        self._part = limits.part(1)
        self.info: EngineInfo | None = None
        self.ahead = 1
        self.draining = False
        self.metrics.watch(
            inside=lambda: self.admission.inside,
            queued=lambda: self._gate.waiting + self._workers.queue.requests,
            decoded=lambda: self._gate.held,
            lanes=lambda: len(self._workers),
            ready=lambda: self.status == "healthy",
            fallback=lambda: self.fallback is not None,
        )
        self.metrics.limit.set(limits.max_queue)

    @property
    def status(self) -> Status:
        """`healthy` means: a request sent now is answered at full speed."""
        if self.draining:
            return "draining"
        if self.failure is not None:
            return "failed"
        if self.info is None:
            return "starting"
        return "healthy" if len(self._workers) else "recovering"

    @property
    def failure(self) -> StartupError | None:
        """Why there will be no engine any more."""
        return self._supervisor.failure

    @property
    def progress(self) -> str | None:
        """How far the start has come, where there is something to say."""
        return self._progress() or None

    @property
    def uptime(self) -> float:
        """Seconds since the process took up its work."""
        return time.monotonic() - self._started

    @property
    def fallback(self) -> str | None:
        """Why the provider that was asked for does not compute, for whichever worker it does not."""
        return self._workers.fallback

    def require_ready(self) -> EngineInfo:
        """What answers. Raises NotReady while nothing does."""
        if self.info is None or self.status != "healthy":
            raise NotReady(f"The service is {self.status}, try again in a moment")
        return self.info

    async def start(self) -> None:
        """Load the engines. What stops that ends up in `failure` and is raised."""
        await self._supervisor.start()

    async def watch(self) -> None:
        """Replace engines that break or hang, for as long as the service runs.

        Raises StartupError where only a new process helps.
        """
        await self._supervisor.watch()

    def _on_engine_ready(self, engine: FaceEngine) -> None:
        info, images = engine.info, engine.max_batch_images
        self.info, self._preprocessor = info, engine.preprocessor
        self.ahead, self._part = self._limits.ahead(images), self._limits.part(images)
        self._gate.set_concurrency(self.ahead, PARTS_UNDER_WAY * self._limits.lanes)
        self.metrics.describe(
            pack=info.pack,
            recogniser=info.recogniser_sha256,
            precision=info.precision,
            providers=",".join(info.providers),
            version=__version__,
        )

    async def beside(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that takes milliseconds on a decoding thread, not on the event loop."""
        return await asyncio.wrap_future(self._submit(call, *args, **kwargs))

    def _submit(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        here = copy_context()  # what is logged there belongs to this request
        return self._decoders.submit(here.run, partial(call, *args, **kwargs))

    async def analyse(self, data: bytes, options: Options, times: StageTimes) -> Analysis:
        """Decode an image and find its faces. Raises RequestError."""
        _, (answer,) = await self.analyse_many([data], options, times)
        if isinstance(answer, RequestError):
            raise answer
        return answer

    async def analyse_many(
        self, files: Sequence[bytes], options: Options, times: StageTimes
    ) -> tuple[EngineInfo, list[Answer]]:
        """Decode images and find their faces, a few of them at a time.

        Returns what answered, and an answer per image. An image that fails costs only
        itself: its place is taken by InvalidImage, ImageTooLarge or InferenceFailed.
        Answers while draining or recovering too: who was admitted before is not turned away.
        Raises NotReady before the start and after the end.
        """
        info, preprocessor = self.info, self._preprocessor
        if info is None or preprocessor is None:
            raise NotReady(f"The service is {self.status}, try again in a moment")
        answers: list[Answer | Checked] = [await self._check(data) for data in files]
        fitting = {n: image for n, image in enumerate(answers) if isinstance(image, Checked)}
        prepared = partial(prepare, preprocessor, options)
        under_way = asyncio.Semaphore(PARTS_UNDER_WAY)

        async def analyse(number: int, part: Part) -> float:
            async with under_way, self._reserve(number, part, times) as reservation:
                images = [fitting[place] for place in part.places]
                allowance = 0 if number else UNINTERRUPTED
                found, seconds = await self._analyse_part(
                    images, prepared, reservation, allowance, times
                )
            for place, answer in zip(part.places, found, strict=True):
                answers[place] = answer
            return seconds

        divided = parts(fitting, preprocessor.max_bytes, *self._part)
        busy = await asyncio.gather(*(analyse(n, part) for n, part in enumerate(divided)))
        if divided:
            self.admission.record_service_time(sum(busy) / self._limits.lanes)
        return info, [answer for answer in answers if not isinstance(answer, Checked)]

    async def _check(self, data: bytes) -> Checked | RequestError:
        """Read the header of an image: milliseconds, and never behind one that is decoded."""
        try:
            if len(data) <= CHECKED_AT_ONCE:
                image = check(data, self._limits.max_pixels)
            else:
                checking = self._headers.submit(check, data, self._limits.max_pixels)
                image = await asyncio.wrap_future(checking)
        except Exception as error:
            return as_request_error(error)
        if image.decoded_bytes > self._gate.size:
            return ImageTooLarge("The decoded image is larger than MAX_DECODED_MB")
        return image

    def _reserve(
        self, number: int, part: Part, times: StageTimes
    ) -> AbstractAsyncContextManager[Reservation]:
        """Room for a part of a request. What the later ones wait for is mostly the earlier."""
        if number == 0:
            return self._gate.reserve(len(part.places), part.size, times)
        return self._gate.reserve_next(part.size, StageTimes())

    async def _analyse_part(
        self,
        images: Sequence[Checked],
        prepared: Callable[[Checked], PreparedImage],
        reservation: Reservation,
        allowance: int,
        times: StageTimes,
    ) -> tuple[list[Answer], float]:
        """Decode images and find their faces. Returns an answer for each, and how many seconds
        they took an engine."""
        futures = [self._submit(prepared, image) for image in images]
        for future in futures:
            reservation.keep_until(future)
        with times.measure("decode"):
            decoded = await asyncio.gather(
                *map(asyncio.wrap_future, futures), return_exceptions=True
            )
        entry = QueueEntry(
            [image for image in decoded if isinstance(image, PreparedImage)],
            allowance,
            on_suspended=partial(
                call_on_loop, asyncio.get_running_loop(), reservation.release_slots
            ),
        )
        if not entry.images:
            return [as_request_error(error) for error in decoded], 0.0
        reservation.keep_until(entry.future)
        try:
            outcomes, stages, seconds = await self._workers.run(entry)
        finally:
            if allowance:
                times.add("queue", entry.submitted, entry.began or time.perf_counter())
        times.include(stages)
        self.metrics.failed.inc(sum(isinstance(one, Exception) for one in outcomes))
        self.metrics.out_of_memory.inc(sum(isinstance(one, OutOfMemory) for one in outcomes))
        remaining = iter(outcomes)
        return [
            as_answer(image, next(remaining))
            if isinstance(image, PreparedImage)
            else as_request_error(image)
            for image in decoded
        ], seconds

    async def drain(self, grace: float) -> None:
        """Take nothing more; return once everything accepted has its answer, and not before
        `grace` seconds, in which those who ask are told."""
        self.draining = True
        await asyncio.sleep(grace)
        await self.admission.wait_idle()

    def close(self) -> None:
        """Stop all threads, once the workers have done what they have."""
        self.draining = True
        self.info = None
        self._workers.close(self._limits.stall_timeout)
        self._headers.shutdown(wait=False, cancel_futures=True)
        self._decoders.shutdown(wait=False, cancel_futures=True)


def prepare(preprocessor: DetectorPreprocessor, options: Options, image: Checked) -> PreparedImage:
    """Decode an image and shrink it to what the detector looks at."""
    pixels = decode_checked(image)
    return PreparedImage(pixels, preprocessor.preprocess(pixels), options)


def call_on_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Have an event loop call something, from a thread that may outlive it."""
    with suppress(RuntimeError):  # it is closed
        loop.call_soon_threadsafe(call)
