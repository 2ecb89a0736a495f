"""The detector's canvas: an image shrunk or grown to fit, in the top left corner, on black."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .blob import Image


@dataclass(frozen=True, slots=True)
class Canvas:
    """`pixels` uint8 [height, width, 3]; divide detections by `scale` to get image pixels."""

    pixels: Image
    scale: float


def fit(image: Image, width: int, height: int) -> tuple[int, int]:
    """The (width, height) an image takes on a canvas, rounded down as InsightFace rounds.

    The integer steps are those of `SCRFD._detect_candidates` in insightface 2.1. A side
    can become 0 (an image of 1×2000).
    """
    ratio = image.shape[0] / image.shape[1]
    if ratio > height / width:
        return int(height / ratio), height
    return width, int(width * ratio)


def letterbox(image: Image, width: int, height: int) -> Canvas | None:
    """Put an image on a canvas of `width`×`height`.

    None if a side of the image would vanish: no face can be seen there.
    """
    new_width, new_height = fit(image, width, height)
    if new_width == 0 or new_height == 0:
        return None
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:new_height, :new_width] = cv2.resize(image, (new_width, new_height))
    return Canvas(pixels, new_height / image.shape[0])
