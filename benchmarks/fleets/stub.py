"""`python -m benchmarks.fleets.stub`: the service on an engine that sleeps.

Everything but the networks is the service's own: connections, admission, decoding, queue, signals.
STUB_SECONDS is what an image UNIT pixels wide takes, one at a time; STUB_LOAD_SECONDS what loading
takes. So the processors of one machine do not limit how many of them can be compared.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Sequence
from typing import Any

from face_service.engine_factory import loader
from face_service.engine_info import EngineInfo
from face_service.face_engine import Face, Options, PreparedImage
from face_service.main import main
from face_service.observability.timing import StageTimes
from face_service.runtime.providers import CPU
from face_service.vision.canvas import Size
from face_service.vision.detections import DetectedFace
from face_service.vision.detector import DetectorPreprocessor
from face_service.vision.filtering import Found

SECONDS = "STUB_SECONDS"
LOAD_SECONDS = "STUB_LOAD_SECONDS"
UNIT = 64


class SleepingEngine:
    """What the service needs of an engine. Sees no face, after its time."""

    info = EngineInfo("stub", "none", (), "0" * 64, 512, "fp32", None, None, (CPU,), 1)
    preprocessor = DetectorPreprocessor((Size(UNIT, UNIT),))
    max_batch_images = images_per_run = 1
    piece = 8
    maps_weights = True

    def __init__(self) -> None:
        self.seconds = float(os.environ[SECONDS])
        self._progress = 0.0

    def last_progress(self) -> float:
        return self._progress

    def limit_threads(self, most: int) -> None: ...

    def release(self) -> None: ...

    def self_test(self) -> None: ...

    def runs_per_piece(self, options: Options) -> int:
        return 2

    def detect(self, image: PreparedImage, times: StageTimes) -> Generator[None, None, Found]:
        with times.measure("detect"):
            time.sleep(self.seconds * image.image.shape[1] / UNIT)
        self._progress = time.monotonic()
        return Found([], 0)
        yield

    def describe(
        self, faces: Sequence[DetectedFace], options: Options, times: StageTimes
    ) -> Generator[None, None, list[Face]]:
        raise NotImplementedError("it sees no face")
        yield


def load(*_: object) -> Any:
    """In place of `load_engine`."""
    time.sleep(float(os.environ.get(LOAD_SECONDS, "0")))
    return SleepingEngine()


if __name__ == "__main__":
    loader.load_engine = load
    sys.exit(main())
