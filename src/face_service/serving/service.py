"""The service behind the routes: decodes, hands images to the lanes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, ParamSpec, TypeVar

from face_service import __version__
from face_service.errors import (
    ImageTooLarge,
    NotReady,
    OutOfMemory,
    RequestError,
    StartupError,
)
from face_service.face_engine import EngineInfo, FaceEngine, Job, Options
from face_service.metrics import Metrics
from face_service.runtime.threads import step_back
from face_service.stages import StageTimes
from face_service.vision.image import Checked, check, decode_checked

from .admission import Admission
from .answers import Analysis, Answer, as_request_error, groups
from .keeper import Keeper
from .lane import Lanes
from .line import Outcome
from .room import Room

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Status = Literal["starting", "healthy", "recovering", "failed", "draining"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be held and how long, by the settings of the same names."""

    lanes: int = 1
    decoders: int = 1
    max_queue: int = 64
    max_body_bytes: int = 512_000_000
    max_pixels: int = 50_000_000
    max_decoded_bytes: int = 512_000_000
    stall_timeout: float = 20.0

    def ahead(self, images_per_turn: int) -> int:
        """Requests that are worth decoding: a turn of every lane, the next one of each, and what
        is being decoded."""
        return self.decoders + 2 * self.lanes * images_per_turn


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
        self.admission = Admission(limits.max_queue, limits.max_body_bytes)
        self.metrics = metrics or Metrics()
        self._lanes = Lanes(self.metrics)
        self._keeper = Keeper(
            load, self._lanes, limits.lanes, limits.stall_timeout, self.metrics, self._use
        )
        self._room = Room(limits.max_decoded_bytes, self.metrics)
        self.engine: FaceEngine | None = None
        self.draining = False
        self.metrics.watch(
            inside=lambda: self.admission.inside,
            bodies=lambda: self.admission.body_bytes,
            queued=lambda: self._room.waiting + len(self._lanes.line),
            decoded=lambda: self._room.held,
            lanes=lambda: len(self._lanes),
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
        if self.engine is None:
            return "starting"
        return "healthy" if len(self._lanes) else "recovering"

    @property
    def failure(self) -> StartupError | None:
        """Why there will be no engine any more."""
        return self._keeper.failure

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
        """Why the provider that was asked for does not compute, in whichever lane it does not."""
        return self._lanes.fallback

    def require_ready(self) -> FaceEngine:
        """The engine that answers. Raises NotReady while there is none."""
        if self.engine is None or self.status != "healthy":
            raise NotReady(f"The service is {self.status}, try again in a moment")
        return self.engine

    async def start(self) -> None:
        """Load the engines. What stops that ends up in `failure` and is raised."""
        await self._keeper.start()

    async def watch(self) -> None:
        """Replace engines that break or hang, for as long as the service runs.

        Raises StartupError where only a new process helps.
        """
        await self._keeper.watch()

    def _use(self, engine: FaceEngine) -> None:
        info, self.engine = engine.info, engine
        self._room.let_in(self._limits.ahead(engine.images_per_turn))
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
        """Decode images side by side and find their faces.

        All of them go through the lane in one turn, or in as few as MAX_DECODED_MB allows.
        Returns what answered, and an answer per image. An image that fails costs only
        itself: its place is taken by InvalidImage, ImageTooLarge or InferenceFailed.
        Answers while draining or recovering too: who was admitted before is not turned away.
        Raises NotReady before the start and after the end.
        """
        engine = self.engine
        if engine is None:
            raise NotReady(f"The service is {self.status}, try again in a moment")
        checked = await asyncio.gather(
            *(self.beside(check, data, self._limits.max_pixels) for data in files),
            return_exceptions=True,
        )
        answers: dict[int, Answer] = {}
        fitting: dict[int, Checked] = {}
        for place, item in enumerate(checked):
            if isinstance(item, BaseException):
                answers[place] = as_request_error(item)
            elif item.decoded_bytes > self._room.size:
                answers[place] = ImageTooLarge("The decoded image is larger than MAX_DECODED_MB")
            else:
                fitting[place] = item
        for places in groups(fitting, self._room.size):
            images = [fitting[place] for place in places]
            size = sum(image.decoded_bytes for image in images)
            async with self._room.take(size, times) as users:
                found = await self._analyse_group(engine, images, options, times, users)
            answers.update(zip(places, found, strict=True))
        return engine.info, [answers[place] for place in range(len(files))]

    async def _analyse_group(
        self,
        engine: FaceEngine,
        images: Sequence[Checked],
        options: Options,
        times: StageTimes,
        users: list[Future[Any]],
    ) -> list[Answer]:
        def prepare(image: Checked) -> Job:
            return engine.prepare(decode_checked(image), options)

        users += [self._submit(prepare, image) for image in images]
        with times.measure("decode"):
            prepared = await asyncio.gather(
                *map(asyncio.wrap_future, users), return_exceptions=True
            )
        jobs = [job for job in prepared if isinstance(job, Job)]
        outcomes = iter(await self._run(jobs, times, users) if jobs else ())
        answers: list[Answer] = []
        for item in prepared:
            outcome = next(outcomes) if isinstance(item, Job) else item
            if isinstance(item, Job) and isinstance(outcome, list):
                height, width = item.image.shape[:2]
                answers.append(Analysis(engine.info, outcome, width, height))
            else:
                answers.append(as_request_error(outcome))
        return answers

    async def _run(
        self, jobs: Sequence[Job], times: StageTimes, users: list[Future[Any]]
    ) -> list[Outcome]:
        started, turn = time.perf_counter(), StageTimes()
        try:
            outcomes = await self._lanes.run(jobs, turn, users)
        finally:
            times.include(turn)
        busy = time.perf_counter() - started - turn.get("queue", 0.0) / 1e3
        self.admission.took(busy / self._limits.lanes)
        self.metrics.failed.inc(sum(isinstance(outcome, Exception) for outcome in outcomes))
        self.metrics.out_of_memory.inc(sum(isinstance(item, OutOfMemory) for item in outcomes))
        return outcomes

    async def drain(self, grace: float) -> None:
        """Take nothing more; return once everything accepted has its answer, and not before
        `grace` seconds, in which those who ask are told."""
        self.draining = True
        await asyncio.sleep(grace)
        await self.admission.emptied()

    def close(self) -> None:
        """Stop both kinds of threads, once the lanes have done what they have."""
        self.draining = True
        self.engine = None
        self._lanes.close(self._limits.stall_timeout)
        self._decoders.shutdown(wait=False, cancel_futures=True)
