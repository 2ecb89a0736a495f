"""YuNet here and in OpenCV, face by face: the same canvas through `vision/yunet.py` and through
cv2.FaceDetectorYN.

`python -m tests.yunet` does so with 300 photos and ends with status 1 where a number differs by
more than 0.001; tests/vision/test_yunet.py with fewer. The photos: t1.jpg, Solvay 1927, 240 of LFW,
and parts of the first two, which have faces of every size.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from face_service.engine_factory.builder import Canvases
from face_service.packs.entries import Role
from face_service.packs.pack import Pack
from face_service.packs.store import resolve
from face_service.tools.photos import read_photo
from face_service.tools.quantization.calibration import build_cpu_detector
from face_service.vision.blob import Image
from face_service.vision.canvas import Size, letterbox

from .photos import ROOT, solvay_photo

SHARED = ROOT.parent / "shared"
BOUND = 1e-3
"""Pixels of the canvas, and of the score."""
OPENCV_THRESHOLD = 0.5
PARTS = 29
"""Parts of each of two photos of groups."""


@dataclass
class Agreement:
    """How far two detectors agree; the worst differences, in pixels of the canvas."""

    photos: int = 0
    faces: int = 0
    other_counts: int = 0
    box: float = 0.0
    landmark: float = 0.0
    score: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether they see the same."""
        return not self.other_counts and max(self.box, self.landmark, self.score) <= BOUND


def agreement(pack: Pack, photos: Iterable[Image], size: Size) -> Agreement:
    """Both detectors on photos, each on a canvas of this size."""
    ours = build_cpu_detector(pack, Canvases((size,), None), 1)
    path = str(pack.models[Role.DETECTION].path)
    theirs = cv2.FaceDetectorYN.create(path, "", size, OPENCV_THRESHOLD)
    total = Agreement()
    for photo in photos:
        canvas = letterbox(photo, size)
        assert canvas is not None
        _, rows = theirs.detect(canvas.pixels)
        expected = np.empty((0, 15), np.float32) if rows is None else rows
        found = ours.detect(ours.preprocess(photo), OPENCV_THRESHOLD)
        total.photos += 1
        if len(found) != len(expected):
            total.other_counts += 1
            continue
        if len(found):
            sides = found.bboxes[:, 2:] - found.bboxes[:, :2]
            boxes = np.hstack((found.bboxes[:, :2], sides)) * canvas.scale
            landmarks = found.landmarks.reshape(-1, 10) * canvas.scale
            total.faces += len(found)
            total.box = max(total.box, worst(boxes, expected[:, :4]))
            total.landmark = max(total.landmark, worst(landmarks, expected[:, 4:14]))
            total.score = max(total.score, worst(found.scores, expected[:, 14]))
    return total


def worst(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference."""
    return float(np.abs(ours - theirs).max())


def parts(photo: Image, count: int) -> Iterator[Image]:
    """Parts of a photo, a third to the whole of each side."""
    random = np.random.default_rng(0)
    height, width = photo.shape[:2]
    for _ in range(count):
        share = random.uniform(1 / 3, 1, 2)
        rows, columns = int(height * share[0]), int(width * share[1])
        top, left = random.integers(height - rows + 1), random.integers(width - columns + 1)
        yield np.ascontiguousarray(photo[top : top + rows, left : left + columns])


def all_photos() -> Iterator[Image]:
    """The 300 photos."""
    groups = [*ROOT.glob(".oracle/lib/python3*/site-packages/insightface/data/images/t1.jpg")]
    for path in (groups[0], solvay_photo()):
        photo = read_photo(path)
        yield photo
        yield from parts(photo, PARTS)
    for path in sorted((SHARED / "faces" / "lfw").glob("*/*.jpg")):
        yield read_photo(path)


def main() -> int:
    """Compare, print, and say whether it holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    pack = resolve("open", parser.parse_args().models)
    holds = True
    for size in (Size(640, 640), Size(640, 384), Size(128, 128)):
        total = agreement(pack, all_photos(), size)
        holds = holds and total.holds
        print(
            f"{size.width}×{size.height}: {total.photos} photos, {total.faces} faces, other counts "
            f"on {total.other_counts}; worst: box {total.box:.1e} px, landmark "
            f"{total.landmark:.1e} px, score {total.score:.1e}"
        )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
