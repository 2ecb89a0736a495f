"""How strongly a face is combed, as in interlaced video: its odd and its even rows (two fields)
show two moments."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .blob import Image

GREEN = 1
SIDE = 200
"""Rows and columns, in the middle of the face, that are compared at most, so that a large face
takes no longer."""
LEAST_SIDE = 4
PROGRESSIVE = 0.55
"""Difference of neighbouring rows, divided by that of rows two apart, where nothing is combed: at
most so much in 60 photos of LFW, at 24 to 400 pixels."""
CONTRAST_OFFSET = 4.0
"""Added to the contrast (a standard deviation, 0..127) that differences are measured against, so
that the rounding of pixels in a black face does not pass for combing."""


def combing(image: Image, bbox: NDArray[np.float32]) -> float:
    """How much more neighbouring rows of a face differ than in a picture of one moment: more than
    PROGRESSIVE times rows of one field do, and more than neighbouring columns, which noise makes
    differ just as much. Means of absolute differences, in percent of the face's contrast; 0 or
    more, and 0 where fewer than LEAST_SIDE rows or columns of the face lie in the image.

    image: uint8 [height, width, 3], BGR, not scaled since its fields were woven together. bbox:
    float32 [4], x1, y1, x2, y2, not clipped.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = np.clip(bbox, 0, (width, height, width, height)).astype(int).tolist()
    top, left = max(0, (y2 - y1 - SIDE) // 2), max(0, (x2 - x1 - SIDE) // 2)
    part = image[y1 + top : y2 - top, x1 + left : x2 - left, GREEN]
    if min(part.shape) < LEAST_SIDE:
        return 0.0
    part = np.ascontiguousarray(part)
    rows = difference(part[1:], part[:-1])
    explained = max(
        PROGRESSIVE * difference(part[2:], part[:-2]), difference(part[:, 1:], part[:, :-1])
    )
    contrast = float(cv2.meanStdDev(part)[1][0, 0]) + CONTRAST_OFFSET
    return 100 * max(0.0, rows - explained) / contrast


def difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean absolute difference, 0..255, of two parts of one size."""
    return cv2.norm(a, b, cv2.NORM_L1) / a.size
