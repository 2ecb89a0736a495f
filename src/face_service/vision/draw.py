"""Faces drawn onto an image, for people."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .blob import Image

GREEN = (80, 220, 60)
ORANGE = (40, 140, 255)
BLACK = (0, 0, 0)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_face(
    image: Image, bbox: NDArray[np.float32], landmarks: NDArray[np.float32], label: str
) -> None:
    """Draw a box (float32 [4]), five dots (float32 [5, 2]) and a label, if it is not empty, onto
    `image`, sized to be seen on a screen."""
    unit = max(1, round(max(image.shape[:2]) / 900))
    x1, y1, x2, y2 = (round(float(value)) for value in bbox)
    cv2.rectangle(image, (x1, y1), (x2, y2), GREEN, unit, cv2.LINE_AA)
    for x, y in landmarks:
        center = (round(float(x)), round(float(y)))
        cv2.circle(image, center, max(2 * unit - 1, (x2 - x1) // 50), ORANGE, -1, cv2.LINE_AA)
    if label:
        draw_label(image, label, (x1, y1, y2), max(0.33 * unit, min((x2 - x1) / 200, 4.0)))


def draw_label(image: Image, label: str, box: tuple[int, int, int], scale: float) -> None:
    """Write `label` above a box (left, top, bottom), or below it at the upper edge of the image.
    scale: OpenCV's font scale."""
    left, top, bottom = box
    thickness = max(1, round(scale * 1.4))
    (width, height), _ = cv2.getTextSize(label, FONT, scale, thickness)
    pad = max(2, height // 4)
    base = top - pad if top > height + 2 * pad else bottom + height + pad
    corners = (left, base - height - pad), (left + width + 2 * pad, base + pad)
    cv2.rectangle(image, *corners, GREEN, -1)
    origin = (left + pad, base)
    cv2.putText(image, label, origin, FONT, scale, BLACK, thickness, cv2.LINE_AA)
