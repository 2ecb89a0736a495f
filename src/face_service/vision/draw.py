"""Faces drawn onto an image, for people."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .blob import Image

GREEN = (80, 220, 60)
ORANGE = (40, 140, 255)


def draw_face(
    image: Image, bbox: NDArray[np.float32], landmarks: NDArray[np.float32], label: str
) -> None:
    """Draw a box, five dots and a label onto `image`, sized to the face."""
    x1, y1, x2, y2 = (round(float(value)) for value in bbox)
    unit = max(1, round(max(image.shape[:2]) / 900))
    cv2.rectangle(image, (x1, y1), (x2, y2), GREEN, 2 * unit, cv2.LINE_AA)
    for x, y in landmarks:
        center = (round(float(x)), round(float(y)))
        cv2.circle(image, center, max(2, (x2 - x1) // 40), ORANGE, -1, cv2.LINE_AA)
    if label:
        scale = min(max((x2 - x1) / 170, 0.3), 4.0)
        thickness = max(1, round(scale * 1.6))
        (width, height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
        top = (x1, y1 - height - 4 * unit)
        cv2.rectangle(image, top, (x1 + width + 2 * unit, y1), GREEN, -1)
        origin = (x1 + unit, y1 - 2 * unit)
        cv2.putText(
            image, label, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), thickness, cv2.LINE_AA
        )
