"""Frames to send where no images are given: 1920×1080 JPEGs with a known number of photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from face_service.errors import FaceServiceError
from face_service.tools.photos import photos_in, read_photo
from face_service.vision.blob import Image

WIDTH, HEIGHT, QUALITY = 1920, 1080, 90
"""Pixels, and the quality of the JPEG, 0 to 100."""
CLOSE = (620, 140, 760)
GRID = [(60 + 620 * column, 40 + 520 * row, 480) for row in range(2) for column in range(3)]
CROWD = [(40 + 312 * column, 8 + 214 * row, 200) for row in range(5) for column in range(6)]
"""Left, top and side of each photo in pixels: one alone, up to six, or up to thirty."""
MOST_FACES = len(CROWD)


def background(seed: int) -> Image:
    """A smooth random background with a camera's noise: uint8 [HEIGHT, WIDTH, 3]."""
    random = np.random.default_rng(seed)
    coarse = random.integers(30, 220, (9, 16, 3), np.uint8)
    smooth = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(int)
    return np.clip(smooth + random.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def compose(photos: Sequence[Image], seed: int) -> bytes:
    """A JPEG, WIDTH×HEIGHT, with the middle square of each of up to MOST_FACES photos on a
    `background` of this seed."""
    image = background(seed)
    layout = [CLOSE] if len(photos) == 1 else GRID if len(photos) <= len(GRID) else CROWD
    for photo, (left, top, side) in zip(photos, layout, strict=False):
        image[top : top + side, left : left + side] = cv2.resize(
            square(photo), (side, side), interpolation=cv2.INTER_CUBIC
        )
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def square(photo: Image) -> Image:
    """The largest square in the middle of a photo."""
    height, width = photo.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return photo[top : top + side, left : left + side]


def generate(faces: int, photos: Path | None, count: int) -> list[bytes]:
    """`count` frames with `faces` different photos each, from the folder `photos`; None will do
    where `faces` is 0.

    Raises FaceServiceError for more than MOST_FACES, without a folder, if it has too few images, or
    if one of them cannot be read.
    """
    if faces > MOST_FACES:
        raise FaceServiceError(f"--faces {faces}: a frame has room for {MOST_FACES} photos")
    if not faces:
        return [compose([], seed) for seed in range(count)]
    if photos is None:
        raise FaceServiceError(f"--faces {faces} needs --photos, a folder with photos of people")
    paths = photos_in(photos)
    if len(paths) < faces:
        raise FaceServiceError(f"--photos {photos}: {len(paths)} images, {faces} are needed")
    # Spread over the folder, which may hold many photos of one person side by side.
    step = max(1, len(paths) // (count * faces))
    chosen = [paths[index * step % len(paths)] for index in range(count * faces)]
    return [
        compose([read_photo(path) for path in chosen[seed * faces :][:faces]], seed)
        for seed in range(count)
    ]
