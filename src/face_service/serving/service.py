"""The service behind the routes: checks, decodes, hands images to the workers."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, ParamSpec, TypeVar

from face_service import __version__
from face_service.config import Settings
from face_service.engine_info import EngineInfo
from face_service.errors import InvalidRequest, NotReady, RequestError, StartupError
from face_service.face_engine import FaceEngine, Options
from face_service.grouping.faces import Faces
from face_service.grouping.grouping import Grouping, GroupOptions
from face_service.observability.metrics import Metrics
from face_service.observability.timing import StageTimes
from face_service.runtime.threads import available_cpus, cpu_threads, most_workers
from face_service.vision.canvas import STRIDE
from face_service.vision.gate_policy import GateStatus
from face_service.vision.looks import Detail

from .admission import Admission
from .answers import Answer, ImageAnalysis
from .decode_gate import DecodeGate
from .decoded import Picture
from .decoders import DecodePool
from .grouping import GroupingRunner
from .idle import IdleClock
from .pipeline import PARTS_UNDER_WAY, ImagePipeline, Known
from .supervisor import EngineSupervisor, Networks
from .worker import WorkerPool

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Status = Literal["starting", "healthy", "recovering", "failed", "draining"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a service. workers: how many; 0: `workers_on_cpu` where engines share their
    weights, else one. decoders: threads that decode. max_queue: requests inside. max_bytes_held:
    bytes of bodies and answers. max_pixels: of an image. stall_timeout: seconds without progress
    after which an engine or a decode thread is replaced. detail: of requests that ask for none.
    idle_unload: seconds without a request after which the networks are let go; 0: never."""

    workers: int = 1
    workers_on_cpu: int = 1
    decoders: int = 1
    max_queue: int = 64
    max_bytes_held: int = 512_000_000
    max_pixels: int = 120_000_000
    max_decoded_bytes: int = 512_000_000
    stall_timeout: float = 20.0
    detail: Detail = "1"
    idle_unload: float = 0.0

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The limits in the settings, and a decode thread for every processor."""
        return cls(
            workers=settings.workers,
            workers_on_cpu=most_workers(settings.workers, cpu_threads(settings.intra_op_threads)),
            decoders=available_cpus(),
            max_queue=settings.max_queue,
            max_bytes_held=int(settings.max_bodies_mb * 1e6),
            max_pixels=settings.max_image_pixels,
            max_decoded_bytes=int(settings.max_decoded_mb * 1e6),
            stall_timeout=settings.stall_timeout_s,
            detail=settings.detail,
            idle_unload=settings.idle_unload_s,
        )


class FaceService:
    """Answers images with faces once `load` has returned an engine for every worker.

    load: given the worker's number. progress: how far loading has come, "" where that is unknown.
    info: of the engine that /health reports; None before the start and after the end. ahead: how
    many images are worth having under way at once.
    """

    def __init__(
        self,
        load: Callable[[int], FaceEngine],
        limits: Limits,
        metrics: Metrics | None = None,
        progress: Callable[[], str] = str,
        gate: Callable[[], GateStatus] = GateStatus,
    ) -> None:
        self._progress = progress
        self._gate_status = gate
        self._limits = limits
        self._started = time.monotonic()
        self.admission = Admission(limits.max_queue, limits.max_bytes_held)
        self.metrics = metrics or Metrics()
        self._decoders = DecodePool(limits.decoders, limits.stall_timeout, self.metrics)
        self._workers = WorkerPool(self.metrics)
        self._supervisor = EngineSupervisor(
            load,
            self._workers,
            self._workers_for,
            limits.stall_timeout,
            self.metrics,
            self._on_engine_ready,
        )
        self._idle = IdleClock()
        self._decode_gate = DecodeGate(limits.max_decoded_bytes, self.metrics)
        self._grouping = GroupingRunner(limits.decoders, self.metrics)
        self._pipeline = ImagePipeline(
            self._decoders.submit, self._decode_gate, self._workers, limits.max_pixels, self.metrics
        )
        self.info: EngineInfo | None = None
        self.ahead = 1
        self.draining = False
        self._refusing = False
        self.metrics.watch(
            inside=lambda: self.admission.inside,
            bodies=lambda: self.admission.bytes_held,
            queued=lambda: self._decode_gate.waiting + self._workers.queue.requests,
            decoded=lambda: self._decode_gate.held,
            workers=lambda: len(self._workers),
            decoders=lambda: len(self._decoders),
            ready=lambda: self.status == "healthy",
            fallback=lambda: self.fallback is not None,
        )
        self.metrics.limit.set(limits.max_queue)

    @property
    def status(self) -> Status:
        """`healthy`: a request sent now is answered, after the networks are loaded if they were let
        go. `recovering`: no engine works, or a decode thread is missing. `draining`: send requests
        to another process, as this one will soon refuse them."""
        return "draining" if self.draining else self._condition

    @property
    def _condition(self) -> Status:
        """The status, whether the process is about to end or not."""
        if self.failure is not None:
            return "failed"
        if self.info is None:
            return "starting"
        able = len(self._workers) or self.networks != "loaded"
        return "healthy" if able and self._decoders.complete else "recovering"

    @property
    def networks(self) -> Networks:
        """Whether the networks are there; else a request waits until they are loaded."""
        return self._supervisor.networks

    @property
    def failure(self) -> StartupError | None:
        """Why no engine, or no decode thread, will be available any more; else None."""
        return self._supervisor.failure or self._decoders.failure

    @property
    def progress(self) -> str | None:
        """How far loading has come; None if unknown."""
        return self._progress() or None

    @property
    def uptime(self) -> float:
        """Seconds since the service was created."""
        return time.monotonic() - self._started

    @property
    def fallback(self) -> str | None:
        """Why a worker does not compute on the provider that was asked for; None if all do."""
        return self._workers.fallback

    @property
    def gate(self) -> GateStatus:
        """What the detector gate does."""
        return self._gate_status()

    @property
    def engines(self) -> list[FaceEngine]:
        """The engines of the workers."""
        return self._workers.engines

    def require_ready(self) -> EngineInfo:
        """What the engine is made of. Raises NotReady unless new requests are admitted: while the
        service is healthy, the grace of `drain` included."""
        if self.info is None or self._refusing or self._condition != "healthy":
            raise NotReady(f"The service is {self.status}, try again in a moment")
        return self.info

    def require_info(self) -> EngineInfo:
        """What the engine is made of, for a request that was admitted: while draining or recovering
        too. Raises NotReady before the start and after the end."""
        if self.info is None:
            raise NotReady(f"The service is {self.status}, try again in a moment")
        return self.info

    async def start(self) -> None:
        """Load the engines. Raises StartupError, which is also `failure`, where that fails."""
        await self._supervisor.start()

    async def watch(self) -> None:
        """Replace engines and decode threads that break or hang, for as long as the service runs.

        Raises StartupError where only a new process helps.
        """
        await asyncio.gather(self._supervisor.watch(), self._decoders.watch(), self._watch_idle())

    async def _watch_idle(self) -> None:
        """Let go of the networks whenever nobody has asked for `idle_unload` seconds."""
        while self._limits.idle_unload:
            await asyncio.sleep(min(1.0, self._limits.idle_unload / 4))
            if self._idle.seconds >= self._limits.idle_unload:
                self._supervisor.unload()

    def _workers_for(self, engine: FaceEngine) -> int:
        """How many workers there should be, by the engine of the first. Where that fell back, one:
        each of the others would first try the same provider in vain."""
        if self._limits.workers:
            return self._limits.workers
        shared = engine.maps_weights and engine.info.fallback is None
        return self._limits.workers_on_cpu if shared else 1

    def _on_engine_ready(self, engine: FaceEngine) -> None:
        info = self.info = engine.info
        workers = self._workers_for(engine)
        # A batch for each worker, and as many images again, or one for each decoder if more.
        batches = workers * engine.max_batch_images
        self.ahead = batches + max(batches, self._limits.decoders)
        self._decode_gate.set_concurrency(self.ahead, PARTS_UNDER_WAY * workers)
        self._pipeline.configure(engine)
        self.metrics.describe(
            pack=info.pack,
            recogniser=info.recogniser_sha256,
            precision=info.precision,
            providers=",".join(info.providers),
            version=__version__,
        )

    async def run_in_pool(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that takes milliseconds on a thread of the decode pool. Raises what the call
        does, DecodingStalled where it hangs, NotReady after `close`."""
        return await asyncio.wrap_future(self._decoders.submit(call, *args, **kwargs))

    async def analyse(
        self, data: Picture, options: Options, times: StageTimes | None = None
    ) -> ImageAnalysis:
        """Decode an image, unless it is decoded already, and find its faces; the stages are added
        to `times`. Raises RequestError."""
        times = StageTimes() if times is None else times
        _, (answer,) = await self.analyse_many([data], options, times)
        if isinstance(answer, RequestError):
            raise answer
        return answer

    async def analyse_many(
        self,
        files: Sequence[Picture],
        options: Options,
        times: StageTimes,
        known: Known | None = None,
    ) -> tuple[EngineInfo, list[Answer]]:
        """Decode images and find their faces, a few of them at a time. known: the faces of every
        image, where they need not be found.

        Returns the engine's info, and an answer for each image in order. An image that fails
        costs only itself: its place is taken by InvalidImage, ImageTooLarge or InferenceFailed.
        Answers while draining or recovering too: requests admitted before are not rejected.
        Raises InvalidRequest for a `det_size` that is not loaded, NotReady before the start and
        after the end.
        """
        info = self.require_info()
        refuse_det_size(options.det_size, info)
        options = replace(options, detail=options.detail or self._limits.detail)
        with self._idle.busy():
            self._supervisor.reload()
            answers, seconds = await self._pipeline.analyse(files, options, times, known)
        if seconds:
            self.admission.record_service_time(seconds / max(1, len(self._workers)))
        return info, answers

    async def group(self, faces: Faces, options: GroupOptions, times: StageTimes) -> Grouping:
        """Join faces to tracks and groups. Raises NotReady and OutOfMemory."""
        return await self._grouping.run(faces, options, times)

    async def drain(self, grace: float) -> None:
        """For `grace` seconds `/health/ready` says 503 and requests are still answered: a balancer
        that has not looked yet sends them. After that they are refused; return once all accepted
        ones are answered."""
        self.draining = True
        await asyncio.sleep(grace)
        self._refusing = True
        await self.admission.wait_idle()

    def close(self, within: float = math.inf) -> None:
        """Stop all threads, once the workers have done what they have, or after `within` seconds.
        They may then still be inside a network: see WorkerPool.close."""
        self.draining = self._refusing = True
        self.info = None
        self._workers.close(self._limits.stall_timeout, within)
        self._pipeline.close()
        self._grouping.close()
        self._decoders.close()


def refuse_det_size(side: int | None, info: EngineInfo) -> None:
    """Raise InvalidRequest for a side of the detector's canvas that is not loaded."""
    if side is not None and side not in info.det_sizes:
        raise InvalidRequest(f"det_size: {side} is not loaded, {in_ranges(info.det_sizes)} may be")


def in_ranges(sides: Sequence[int]) -> str:
    """Multiples of STRIDE in words: 64 to 640 in steps of 32."""
    if len(sides) > 2 and sides[-1] - sides[0] == STRIDE * (len(sides) - 1):
        return f"{sides[0]} to {sides[-1]} in steps of {STRIDE}"
    return " and ".join(map(str, sides))
