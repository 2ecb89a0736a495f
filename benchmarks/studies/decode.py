"""JPEG decoders, full and at half scale: CPU time, and what half scale does to embeddings.

uv pip install --python .venv/bin/python simplejpeg
.venv/bin/python -m benchmarks.studies.decode [PACK_FOLDER]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from benchmarks.frames import ROOT, SHARED, frame
from face_service.engine_factory.builder import Canvases, build_engine
from face_service.packs.local import load_folder
from face_service.runtime.processor import in_words, processor
from face_service.runtime.providers import CPU
from face_service.vision.blob import Image
from face_service.vision.canvas import allowed_canvases
from face_service.vision.detector import CLOSEUP

PIXELS_12M = (4000, 3000)


def cpu_ms(call: Callable[[], object], runs: int = 15) -> float:
    """Median CPU time of a call on one thread."""
    times = []
    for _ in range(runs):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return statistics.median(times) * 1e3


def jpeg(image: Image) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


def portraits(count: int) -> list[bytes]:
    """12-megapixel photos of one person each, the face about a third of the height."""
    photos = sorted((SHARED / "faces" / "lfw").glob("*/*_0001.jpg"))[:count]
    result = []
    for path in photos:
        image = np.full((PIXELS_12M[1], PIXELS_12M[0], 3), 90, np.uint8)
        person = cv2.resize(cv2.imread(str(path)), (2400, 2400), interpolation=cv2.INTER_CUBIC)
        image[300:2700, 800:3200] = person
        result.append(jpeg(image))
    return result


def main() -> None:
    """Print both tables."""
    cv2.setNumThreads(1)
    print(in_words(processor()), end="\n\n")
    print("| JPEG | cv2 | simplejpeg | cv2 at 1/2 | pixels equal |\n|---|---|---|---|---|")
    for name, data in (("1920x1080", frame(6, 0)), ("4000x3000", portraits(1)[0])):
        buffer = np.frombuffer(data, np.uint8)
        full = cpu_ms(lambda b=buffer: cv2.imdecode(b, cv2.IMREAD_COLOR))
        other = cpu_ms(lambda d=data: simplejpeg.decode_jpeg(d, "BGR"))
        half = cpu_ms(lambda b=buffer: cv2.imdecode(b, cv2.IMREAD_REDUCED_COLOR_2))
        equal = np.array_equal(
            cv2.imdecode(buffer, cv2.IMREAD_COLOR), simplejpeg.decode_jpeg(data, "BGR")
        )
        print(f"| {name} | {full:.1f} ms | {other:.1f} ms | {half:.1f} ms | {equal} |")

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".oracle/packs/standin"
    engine = build_engine(
        load_folder(folder), Canvases(allowed_canvases(640), CLOSEUP), (CPU,), threads=2
    )
    cosines = []
    for data in portraits(40):
        buffer = np.frombuffer(data, np.uint8)
        faces = [
            engine.analyse_image(cv2.imdecode(buffer, flag))
            for flag in (cv2.IMREAD_COLOR, cv2.IMREAD_REDUCED_COLOR_2)
        ]
        best = [max(found, key=lambda face: face.score).embedding for found in faces]
        cosines.append(float(np.dot(*best)))
    print(
        f"half scale against full, {len(cosines)} faces of about 1,000 px: cosine "
        f"min {min(cosines):.4f}, mean {statistics.mean(cosines):.4f}, "
        f"below 0.9995: {sum(c < 0.9995 for c in cosines)}"
    )


if __name__ == "__main__":
    main()
