"""1920×1080 frames with a known number of faces, composed from the photos of ../shared."""

from __future__ import annotations

from pathlib import Path

import cv2

from face_service.tools.bench.frames import compose

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


def frame(faces: int, seed: int) -> bytes:
    """A JPEG of quality 90 with `faces` (0 to 6) photos of one person each."""
    photos = sorted((SHARED / "faces" / "lfw").glob("*/*_0001.jpg"))
    chosen = [photos[(seed * 7 + index) % len(photos)] for index in range(faces)]
    return compose([cv2.imread(str(path))[40:210, 40:210] for path in chosen], seed)
