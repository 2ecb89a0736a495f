"""How small may a face be in a large picture? Recall and time by `detail`.

    .venv/bin/python -m benchmarks.studies.small_faces [--faces 20] [--pack starter]

Photos of ../shared/faces on a quiet ground of 4000×3000 and 12000×2000, the shorter side of each
face so many pixels long, as in a group photo and a panorama. Found means: a box that overlaps the
face's by half. Milliseconds are CPU time of detection, on one thread, the median of all sizes.
"""

from __future__ import annotations

import argparse
import time
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import kept
from benchmarks.frames import SHARED
from face_service.config import load_settings
from face_service.engine_factory import load_engine, runtime_config
from face_service.face_engine import FaceEngine, Options
from face_service.runtime.processor import in_words, processor
from face_service.tools.evaluation import main_face
from face_service.vision.blob import Image
from face_service.vision.boxes import iou
from face_service.vision.looks import Detail

PICTURES = ((4000, 3000), (12_000, 2000))
PIXELS = (32, 40, 48, 64, 80, 100, 140)
DETAILS: tuple[Detail, ...] = ("1", "2", "3", "auto")
PACK = "starter"
GREY = 128
LOOK = Options(embeddings=False, attributes=False, quality=False)


def crowd(
    photos: list[tuple[Image, NDArray[np.float32]]], width: int, height: int, pixels: float
) -> tuple[Image, list[NDArray[np.float32]]]:
    """A picture of people, the shorter side of each face `pixels` long, and their boxes."""
    image = np.full((height, width, 3), GREY, np.uint8)
    columns = round(np.sqrt(len(photos) * width / height))
    rows = -(-len(photos) // columns)
    random = np.random.default_rng(0)
    boxes = []
    for number, (photo, box) in enumerate(photos):
        scale = pixels / float(min(box[2] - box[0], box[3] - box[1]))
        small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        row, column = divmod(number, columns)
        free = (width / columns - small.shape[1], height / rows - small.shape[0])
        left = int(column * width / columns + random.uniform(0, max(0, free[0])))
        top = int(row * height / rows + random.uniform(0, max(0, free[1])))
        part = image[top : top + small.shape[0], left : left + small.shape[1]]
        part[:] = small[: part.shape[0], : part.shape[1]]
        boxes.append(np.asarray(box * scale + (left, top, left, top), np.float32))
    return image, boxes


def people(engine: FaceEngine, count: int) -> list[tuple[Image, NDArray[np.float32]]]:
    """Photos, one of each person, and the box of the main face of each."""
    found = []
    for folder in sorted((SHARED / "faces" / "lfw").iterdir())[:count]:
        photo = cv2.imread(str(sorted(folder.glob("*.jpg"))[0]))
        found.append((photo, main_face(engine.analyse_image(photo, LOOK), photo).bbox))
    return found


def main() -> None:
    """Print the table and write it to benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=20)
    parser.add_argument("--pack", default=PACK)
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    settings = load_settings(
        insightface_model=arguments.pack, det_gate="off", intra_op_threads=1, workers=1
    )
    engine = load_engine(settings, runtime_config(settings))
    cv2.setNumThreads(1)
    photos = people(engine, arguments.faces)
    print(f"{arguments.pack}, {len(photos)} faces a picture: found\n")
    print("| picture | detail |", *(f"{pixels} px |" for pixels in PIXELS), "CPU ms |")
    print("|---|---|" + "---|" * (len(PIXELS) + 1))
    table = []
    for (width, height), detail in product(PICTURES, DETAILS):
        cells, times = [], []
        for pixels in PIXELS:
            image, boxes = crowd(photos, width, height, pixels)
            options = Options(embeddings=False, attributes=False, quality=False, detail=detail)
            started = time.process_time()
            faces = engine.analyse_image(image, options)
            times.append((time.process_time() - started) * 1e3)
            found = np.array([face.bbox for face in faces], np.float32).reshape(-1, 4)
            cells.append(sum(iou(box, found).max(initial=0) >= 0.5 for box in boxes))
        median = float(np.median(times))
        row = " | ".join(map(str, cells))
        print(f"| {width}×{height} | `{detail}` | {row} | {median:.0f} |", flush=True)
        counts = dict(zip(map(str, PIXELS), map(int, cells), strict=True))
        table.append({"picture": [width, height], "detail": detail, "found": counts, "ms": median})
    name = "small_faces" if arguments.pack == PACK else f"small_faces_{arguments.pack}"
    kept.write(name, {"pack": arguments.pack, "faces": len(photos), "rows": table})


if __name__ == "__main__":
    main()
