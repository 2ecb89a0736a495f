"""The service behind the routes: loads the engine, decodes, hands images to the lane."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from face_service.errors import InferenceFailed, NotReady, RequestError, StartupError
from face_service.face_engine import EngineInfo, Face, FaceEngine, Options
from face_service.stages import StageTimes
from face_service.vision.image import decode

from .lane import Lane

logger = logging.getLogger(__name__)

Status = Literal["starting", "healthy", "failed", "draining"]


@dataclass(frozen=True, slots=True)
class Analysis:
    """The faces of one image, its size in pixels, what found them, where the time went."""

    info: EngineInfo
    faces: list[Face]
    width: int
    height: int
    times: StageTimes


class FaceService:
    """Answers images with faces once `load` has returned an engine."""

    def __init__(self, load: Callable[[], FaceEngine], max_pixels: int, decoders: int) -> None:
        self._load = load
        self._max_pixels = max_pixels
        self._lane = Lane()
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
        """Load the engine on the lane. A StartupError ends up in `failure` and is raised."""
        try:
            self.engine = await self._lane.run(self._load)
        except StartupError as error:
            self.failure = error
            raise
        except Exception as error:
            self.failure = StartupError(f"the models cannot be loaded: {error}")
            raise self.failure from error

    async def analyse(self, data: bytes, options: Options) -> Analysis:
        """Decode an image and find its faces.

        Raises InvalidImage or ImageTooLarge for the caller's mistakes, NotReady while the
        models load, InferenceFailed when the networks fail.
        """
        engine = self.engine
        if engine is None or self.draining:
            raise NotReady(f"The service is {self.status}, try again in a moment")
        times = StageTimes()
        with times.measure("decode"):
            loop = asyncio.get_running_loop()
            image = await loop.run_in_executor(self._decoders, decode, data, self._max_pixels)
        submitted = time.perf_counter()

        def work() -> list[Face]:
            times["queue"] = (time.perf_counter() - submitted) * 1e3
            return engine.analyse(image, options, times)

        try:
            faces = await self._lane.run(work)
        except RequestError:
            raise
        except Exception as error:
            logger.exception("Inference failed on an image of shape %s", image.shape)
            raise InferenceFailed("Inference failed, try again later") from error
        height, width = image.shape[:2]
        return Analysis(engine.info, faces, width, height, times)

    def close(self) -> None:
        """Stop both kinds of threads."""
        self.draining = True
        self._lane.close()
        self._decoders.shutdown(cancel_futures=True)
