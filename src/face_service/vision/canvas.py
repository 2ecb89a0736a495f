"""The detector's canvas: an image shrunk or grown to fit, in the top left corner, on black."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from .blob import Image

STRIDE = 32
"""The detector's coarsest stride; the sides of a canvas are multiples of it."""


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


class Canvas(NamedTuple):
    """`pixels` uint8 [height, width, 3]; divide detections by `scale` to get image pixels."""

    pixels: Image
    scale: float


def allowed_canvases(side: int) -> tuple[Size, ...]:
    """The canvases of a detector whose graph takes any size: the square, about 4:3 and 16:9, and
    these upright; for a side of 640: 640×640, 640×480, 640×384, 480×640, 384×640.

    Few and fixed: every new shape costs an accelerator a compilation, and the CPU memory.
    """
    shorter = [-(-side * part // STRIDE) * STRIDE for part in (3 / 4, 9 / 16)]
    rectangles = [Size(side, int(short)) for short in shorter]
    return (Size(side, side), *rectangles, *(Size(short, long) for long, short in rectangles))


def fit(image: Image, canvas: Size) -> Size:
    """The size an image takes on a canvas, rounded down as InsightFace rounds.

    The integer steps are those of `SCRFD._detect_candidates` in insightface 2.1. A side
    can become 0 (an image of 1×2000).
    """
    ratio = image.shape[0] / image.shape[1]
    if ratio > canvas.height / canvas.width:
        return Size(int(canvas.height / ratio), canvas.height)
    return Size(canvas.width, int(canvas.width * ratio))


def smallest(image: Image, canvases: Sequence[Size]) -> Size:
    """The smallest canvas on which an image is as large as on the first one."""
    full = fit(image, canvases[0])
    return min(
        (canvas for canvas in canvases if fit(image, canvas) == full),
        key=lambda canvas: canvas.width * canvas.height,
    )


def letterbox(
    image: Image, canvas: Size, turns: int = 0, interpolation: int = cv2.INTER_LINEAR
) -> Canvas | None:
    """Put an image, turned by so many quarters anticlockwise, on a canvas.

    interpolation: of OpenCV; the default is InsightFace's. None if a side of the image would be 0
    pixels: no face can be found there.
    """
    seen = np.rot90(image, turns)  # a view: what is turned is the small image
    size = fit(seen, canvas)
    if 0 in size:
        return None
    pixels = np.zeros((canvas.height, canvas.width, 3), np.uint8)
    small = cv2.resize(image, size if turns % 2 == 0 else size[::-1], interpolation=interpolation)
    pixels[: size.height, : size.width] = np.rot90(small, turns)
    return Canvas(pixels, size.height / seen.shape[0])


def padded(small: Canvas, size: Size) -> Canvas:
    """A canvas in the top left corner of a larger one, on black."""
    pixels = np.zeros((size.height, size.width, 3), np.uint8)
    height, width = small.pixels.shape[:2]
    pixels[:height, :width] = small.pixels
    return Canvas(pixels, small.scale)
