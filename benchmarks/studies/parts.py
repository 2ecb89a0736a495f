"""How often is a part of a face found as a face of its own, before and after `without_parts`?

    .venv/bin/python -m benchmarks.studies.parts [--photos 240]

The middle of each photo of ../shared/faces, 50 to 30 % of its side, enlarged to 700×700, shown to
det_2.5g with close-ups. Counted are boxes of which more than half lies in a larger one.
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np

from benchmarks.frames import SHARED
from benchmarks.studies.scenes import detector
from face_service.runtime.processor import in_words, processor
from face_service.vision.boxes import area
from face_service.vision.canvas import allowed_canvases
from face_service.vision.detections import Detections
from face_service.vision.detector import CLOSEUP
from face_service.vision.parts import without_parts

SHARES = (0.5, 0.45, 0.4, 0.3)
SIDE = 700


def inside(found: Detections) -> int:
    """Boxes of which more than half lies in a larger one."""
    areas, count = area(found.bboxes), 0
    for box, size in zip(found.bboxes, areas, strict=True):
        low = np.maximum(box[:2], found.bboxes[:, :2])
        high = np.minimum(box[2:], found.bboxes[:, 2:])
        shared = area(np.concatenate([low, high], axis=1))
        count += bool(((areas > size) & (shared > size / 2)).any())
    return count


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=240)
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    scrfd = detector("det_2.5g", allowed_canvases(640), CLOSEUP)
    paths = sorted((SHARED / "faces" / "lfw").glob("*/*.jpg"))[: arguments.photos]
    print("| middle | faces | inside another, before | after |\n|---|---|---|---|")
    for share in SHARES:
        faces = before = after = 0
        for path in paths:
            photo = cv2.imread(str(path))
            side = int(photo.shape[0] * share)
            start = (photo.shape[0] - side) // 2
            part = photo[start : start + side, start : start + side]
            image = cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            found = scrfd.detect(scrfd.preprocess(image))
            kept = without_parts(found)
            faces += len(kept)
            before, after = before + inside(found), after + inside(kept)
        print(f"| {share:.0%} | {faces} | {before} | {after} |", flush=True)


if __name__ == "__main__":
    main()
