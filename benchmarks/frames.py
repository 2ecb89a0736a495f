"""1920×1080 frames with a known number of faces, composed from the photos of ../shared."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from face_service.vision.blob import Image

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
LAYOUTS = {
    0: [],
    1: [(620, 140, 760)],
    6: [(60 + 620 * column, 40 + 520 * row, 480) for row in range(2) for column in range(3)],
}
"""Faces a frame → left, top and side of each photo in it, in pixels."""


def background(seed: int) -> Image:
    """A soft landscape of blobs, with the noise a camera adds."""
    random = np.random.default_rng(seed)
    coarse = random.integers(30, 220, (9, 16, 3), np.uint8)
    smooth = cv2.resize(coarse, (1920, 1080), interpolation=cv2.INTER_CUBIC).astype(int)
    return np.clip(smooth + random.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def frame(faces: int, seed: int) -> bytes:
    """A JPEG of quality 90 with `faces` (0, 1 or 6) photos of one person each."""
    photos = sorted((SHARED / "faces" / "lfw").glob("*/*_0001.jpg"))
    image = background(seed)
    for index, (left, top, side) in enumerate(LAYOUTS[faces]):
        photo = cv2.imread(str(photos[(seed * 7 + index) % len(photos)]))[40:210, 40:210]
        image[top : top + side, left : left + side] = cv2.resize(
            photo, (side, side), interpolation=cv2.INTER_CUBIC
        )
    ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert ok
    return data.tobytes()
