"""Quarter turns: what was found in a picture that had been turned, in the picture as it is."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .detections import Detections, Floats

Rotations = Literal["none", "auto", "all"]
"""Whether a picture is also looked at lying and upside down: never; where no usable face is found
as it is, or where the usable one scores better turned; always."""

ANGLES = (90, 180, 270)
"""Degrees clockwise by which a picture is turned, in the order in which they are tried."""


def quarters(angle: int) -> int:
    """Quarter turns anticlockwise, as `np.rot90` counts, that turn by `angle` degrees clockwise."""
    return -angle // 90 % 4


def turned_back(found: Detections, angle: int, width: int, height: int) -> Detections:
    """What was found in an image of `width`×`height` that had been turned by `angle` degrees
    clockwise, in pixels of the image as it is."""
    if angle == 0:
        return found
    corners = found.bboxes.reshape(-1, 2, 2)
    points = turn_points(corners, angle, width, height)
    boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    landmarks = turn_points(found.landmarks, angle, width, height)
    return Detections(boxes, found.scores, landmarks, np.full(len(found), angle, np.int16))


def turn_points(points: Floats, angle: int, width: int, height: int) -> Floats:
    """Points [..., 2] of the turned image in the image of `width`×`height` as it is. angle: one of
    ANGLES. Whole numbers are the middles of pixels, as where a crop is cut."""
    x, y = points[..., 0], points[..., 1]
    right, bottom = width - 1, height - 1
    where = {
        90: (y, bottom - x),
        180: (right - x, bottom - y),
        270: (right - y, x),
    }[angle]
    return np.stack(where, axis=-1).astype(np.float32)


def upright(landmarks: Floats, angle: int) -> Floats:
    """Landmarks [5, 2] of a face, turned by `angle` degrees clockwise about the origin: as the face
    lies in the turned picture."""
    if angle == 0:
        return landmarks
    x, y = landmarks[:, 0], landmarks[:, 1]
    where = {90: (-y, x), 180: (-x, -y), 270: (y, -x)}[angle]
    return np.stack(where, axis=-1).astype(np.float32)


def crop_turn(angle: int, size: int) -> NDArray[np.float64]:
    """float64 [3, 3]: turns a crop of `size`×`size` by `angle` degrees clockwise."""
    last = size - 1.0
    matrices = {
        0: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        90: [[0, -1, last], [1, 0, 0], [0, 0, 1]],
        180: [[-1, 0, last], [0, -1, last], [0, 0, 1]],
        270: [[0, 1, 0], [-1, 0, last], [0, 0, 1]],
    }
    return np.array(matrices[angle], np.float64)
