"""What the signals behind `interlaced` and `compressed` cost: CPU time, of a face and of a JPEG.

.venv/bin/python -m benchmarks.studies.frame_cost
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from benchmarks.frames import SHARED
from face_service.runtime.processor import in_words, processor
from face_service.tools.photos import photos_in, read_photo
from face_service.vision.combing import combing
from face_service.vision.quantisation import compression, luminance_step

SIDES = (48, 95, 190, 400)
"""Of faces, in pixels; from 200 on they cost the same."""
RUNS, CALLS = 30, 20


def cpu_ms(call: Callable[[], object]) -> float:
    """Median CPU time of a call."""
    times = []
    for _ in range(RUNS):
        started = time.process_time()
        for _ in range(CALLS):
            call()
        times.append((time.process_time() - started) / CALLS)
    return statistics.median(times) * 1e3


def main() -> None:
    """Print the table."""
    cv2.setNumThreads(1)
    photo = read_photo(photos_in(next((SHARED / "faces/lfw").iterdir()))[0])
    print(in_words(processor()), end="\n\n")
    print("| | ms |")
    print("|---|---|")
    for side in SIDES:
        image = cv2.resize(photo, (2 * side, 2 * side), interpolation=cv2.INTER_AREA)
        bbox = np.array((side / 2, side / 2, side * 1.5, side * 1.5), np.float32)
        cost = cpu_ms(partial(combing, image, bbox))
        print(f"| `combing`, a face of {side} pixels | {cost:.3f} |")
    print(f"| `compression`, a face | {cpu_ms(partial(compression, 3.6, 95.0)):.4f} |")
    jpeg = cv2.imencode(".jpg", cv2.resize(photo, (1920, 1080)))[1].tobytes()
    print(f"| the table of a JPEG, once | {cpu_ms(partial(luminance_step, jpeg)):.3f} |")


if __name__ == "__main__":
    main()
