"""The service behind the routes: loads the engines, decodes, hands images to the lanes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal, ParamSpec, TypeVar

from face_service.errors import InferenceFailed, NotReady, RequestError, StartupError
from face_service.face_engine import EngineInfo, Face, FaceEngine, Job, Options
from face_service.stages import StageTimes
from face_service.vision.image import decode

from .lane import Lanes, in_daemon_thread

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Status = Literal["starting", "healthy", "failed", "draining"]


@dataclass(frozen=True, slots=True)
class Analysis:
    """The faces of one image, its size in pixels, and what found them."""

    info: EngineInfo
    faces: list[Face]
    width: int
    height: int


class FaceService:
    """Answers images with faces once `load` has returned `lanes` engines."""

    def __init__(
        self, load: Callable[[], FaceEngine], lanes: int, max_pixels: int, decoders: int
    ) -> None:
        self._load = load
        self._lane_count = lanes
        self._lanes = Lanes()
        self._max_pixels = max_pixels
        self._decoders = ThreadPoolExecutor(decoders, thread_name_prefix="decode")
        self._started = time.monotonic()
        self.engine: FaceEngine | None = None
        self.failure: StartupError | None = None
        self.draining = False

    @property
    def status(self) -> Status:
        """`healthy` means: a request sent now is answered at full speed."""
        if self.draining:
            return "draining"
        if self.failure is not None:
            return "failed"
        return "starting" if self.engine is None else "healthy"

    @property
    def uptime(self) -> float:
        """Seconds since the process took up its work."""
        return time.monotonic() - self._started

    async def start(self) -> None:
        """Load the engines. What stops that ends up in `failure` and is raised."""
        try:
            for _ in range(self._lane_count):
                engine = await in_daemon_thread(self._load)
                self._lanes.open(engine, engine.images_per_turn)
            self.engine = engine
        except StartupError as error:
            self.failure = error
            raise
        except Exception as error:
            self.failure = StartupError(f"the models cannot be loaded: {error}")
            raise self.failure from error

    async def beside(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that takes milliseconds on a decoding thread, not on the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._decoders, partial(call, *args, **kwargs))

    async def analyse(self, data: bytes, options: Options, times: StageTimes) -> Analysis:
        """Decode an image and find its faces. Raises RequestError."""
        _, (answer,) = await self.analyse_many([data], options, times)
        if isinstance(answer, RequestError):
            raise answer
        return answer

    async def analyse_many(
        self, files: Sequence[bytes], options: Options, times: StageTimes
    ) -> tuple[EngineInfo, list[Analysis | RequestError]]:
        """Decode images side by side and find their faces, all in one turn of the lane.

        Returns what answered, and an answer per image. An image that fails costs only
        itself: its place is taken by InvalidImage, ImageTooLarge or InferenceFailed.
        Raises NotReady while the models load.
        """
        engine = self.engine
        if engine is None or self.draining:
            raise NotReady(f"The service is {self.status}, try again in a moment")

        def prepare(data: bytes) -> Job:
            return engine.prepare(decode(data, self._max_pixels), options)

        with times.measure("decode"):
            prepared = await asyncio.gather(
                *(self.beside(prepare, data) for data in files),
                return_exceptions=True,
            )
        jobs = [job for job in prepared if isinstance(job, Job)]
        answers = iter(await self._lanes.run(jobs, times) if jobs else ())
        results: list[Analysis | RequestError] = []
        for item in prepared:
            outcome = next(answers) if isinstance(item, Job) else item
            if isinstance(item, Job) and isinstance(outcome, list):
                height, width = item.image.shape[:2]
                results.append(Analysis(engine.info, outcome, width, height))
            else:
                results.append(as_request_error(outcome))
        return engine.info, results

    def close(self) -> None:
        """Stop both kinds of threads."""
        self.draining = True
        self._lanes.close()
        self._decoders.shutdown(wait=False, cancel_futures=True)


def as_request_error(error: object) -> RequestError:
    """What a caller is told; what he is not told goes to the log."""
    if isinstance(error, RequestError):
        return error
    logger.error("Inference failed", exc_info=error if isinstance(error, Exception) else None)
    return InferenceFailed("Inference failed, try again later")
