"""The service behind the routes: loads the engines, decodes, hands images to the lanes."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from face_service.face_engine import EngineInfo, FaceEngine, Job, Options
from face_service.metrics import Metrics
from face_service.runtime.memory import give_back
from face_service.runtime.threads import step_back
from face_service.stages import StageTimes
from face_service.vision.image import Checked, check, decode_checked

from .admission import Admission
from .answers import Analysis, Answer, as_request_error, groups
from .lane import Lanes, in_daemon_thread
from .line import Outcome
from .room import Room

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Status = Literal["starting", "healthy", "recovering", "failed", "draining"]

WATCH_S = 0.25
"""How often the lanes are looked after, in seconds."""
GIVE_BACK_EVERY = 40
"""Looks between two that give freed memory back: ten seconds."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
"""Between attempts to load an engine anew."""
MAX_ATTEMPTS = 10
"""Over two and a half minutes. A driver can be in a state that only a new process gets out of."""
MAX_STALLED = 3
"""Engines given up with a thread inside before the process ends: their memory cannot be had
back, and a driver that hung so often is not cured by another engine."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be held and how long, by the settings of the same names."""

    lanes: int = 1
    decoders: int = 1
    max_queue: int = 64
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
        self._load = load
        self._progress = progress
        self._limits = limits
        self._decoders = ThreadPoolExecutor(
            limits.decoders, thread_name_prefix="decode", initializer=step_back
        )
        self._started = time.monotonic()
        self._stalled = 0
        self.admission = Admission(limits.max_queue)
        self.metrics = metrics or Metrics()
        self._lanes = Lanes(self.metrics)
        self._room = Room(limits.max_decoded_bytes, self.metrics)
        self.engine: FaceEngine | None = None
        self.failure: StartupError | None = None
        self.draining = False
        self.metrics.watch(
            inside=lambda: self.admission.inside,
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
        try:
            for _ in range(self._limits.lanes):
                engine = await in_daemon_thread(self._load)
                self._lanes.open(engine, engine.images_per_turn)
            self._take()
        except StartupError as error:
            self.failure = error
            raise
        except Exception as error:
            self.failure = StartupError(f"the models cannot be loaded: {error}")
            raise self.failure from error

    async def watch(self) -> None:
        """Replace engines that break or hang, for as long as the service runs.

        Raises StartupError once so many have hung that only a new process helps.
        """
        restoring: asyncio.Task[None] | None = None
        try:
            for turn in itertools.count(1):
                await asyncio.sleep(WATCH_S)
                try:
                    if turn % GIVE_BACK_EVERY == 0:
                        await in_daemon_thread(give_back)
                    self._give_up_lost()
                    if restoring and restoring.done():
                        ended, restoring = restoring, None
                        ended.result()
                    # Beside the watch: loading may take for ever, and other engines break too.
                    if restoring is None and len(self._lanes) < self._limits.lanes:
                        restoring = asyncio.create_task(self._restore())
                except StartupError:
                    raise
                except Exception:  # nobody else looks after the engines
                    logger.exception("Looking after the engines failed, and goes on")
        finally:
            if restoring:
                restoring.cancel()

    def _give_up_lost(self) -> None:
        broken, stalled = self._lanes.remove_lost(self._limits.stall_timeout)
        self._stalled += stalled
        self.metrics.engines_lost.labels("broken").inc(broken)
        self.metrics.engines_lost.labels("stalled").inc(stalled)
        if stalled:
            logger.error(
                "No network has finished for %.0f s: the engine is given up",
                self._limits.stall_timeout,
            )
        if self._stalled >= MAX_STALLED:
            self.failure = StartupError(
                f"{self._stalled} engines have hung: this process ends so that a new one "
                "can take over; look at the drivers and at the machine's load"
            )
            raise self.failure

    async def _restore(self) -> None:
        while len(self._lanes) < self._limits.lanes:
            await self._replace_engine()

    async def _replace_engine(self) -> None:
        """Raises StartupError after MAX_ATTEMPTS in vain, if no other engine works."""
        pause = FIRST_PAUSE_S
        for attempt in itertools.count(1):
            try:
                engine = await in_daemon_thread(self._load)
            except Exception as error:
                if attempt >= MAX_ATTEMPTS and not len(self._lanes):
                    self.failure = StartupError(
                        f"no new engine after {attempt} attempts: this process ends so that a new "
                        f"one can take over; at last: {error}"
                    )
                    raise self.failure from error
                logger.exception("No new engine; the next attempt is in %.0f s", pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            else:
                self._lanes.open(engine, engine.images_per_turn)
                self._take()
                logger.warning("A new engine has taken over")
                return

    def _take(self) -> None:
        """Speak of the engine that came last, or of one that fell back, if any did."""
        engines = self._lanes.engines
        self.engine = next((e for e in engines if e.info.fallback), engines[-1])
        info = self.engine.info
        self._room.let_in(self._limits.ahead(self.engine.images_per_turn))
        self.metrics.describe(
            pack=info.pack,
            recogniser=info.recogniser_sha256,
            precision=info.precision,
            providers=",".join(info.providers),
            version=__version__,
        )

    async def beside(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that takes milliseconds on a decoding thread, not on the event loop."""
        loop = asyncio.get_running_loop()
        here = copy_context()  # what is logged there belongs to this request
        return await loop.run_in_executor(
            self._decoders, partial(here.run, partial(call, *args, **kwargs))
        )

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
            async with self._room.take(sum(image.decoded_bytes for image in images), times):
                found = await self._analyse_group(engine, images, options, times)
            answers.update(zip(places, found, strict=True))
        return engine.info, [answers[place] for place in range(len(files))]

    async def _analyse_group(
        self,
        engine: FaceEngine,
        images: Sequence[Checked],
        options: Options,
        times: StageTimes,
    ) -> list[Answer]:
        def prepare(image: Checked) -> Job:
            return engine.prepare(decode_checked(image), options)

        with times.measure("decode"):
            prepared = await asyncio.gather(
                *(self.beside(prepare, image) for image in images),
                return_exceptions=True,
            )
        jobs = [job for job in prepared if isinstance(job, Job)]
        outcomes = iter(await self._run(jobs, times) if jobs else ())
        answers: list[Answer] = []
        for item in prepared:
            outcome = next(outcomes) if isinstance(item, Job) else item
            if isinstance(item, Job) and isinstance(outcome, list):
                height, width = item.image.shape[:2]
                answers.append(Analysis(engine.info, outcome, width, height))
            else:
                answers.append(as_request_error(outcome))
        return answers

    async def _run(self, jobs: Sequence[Job], times: StageTimes) -> list[Outcome]:
        started, turn = time.perf_counter(), StageTimes()
        try:
            outcomes = await self._lanes.run(jobs, turn)
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
