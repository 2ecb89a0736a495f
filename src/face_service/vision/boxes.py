"""Boxes: float32, the last axis x1, y1, x2, y2 in pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


def clip(boxes: Boxes, width: int, height: int) -> Boxes:
    """Boxes [..., 4] cut off at the edges of an image of `width`×`height`."""
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32))


def iou(box: Boxes, others: Boxes) -> NDArray[np.float32]:
    """Intersection over union, 0 to 1, of `box` [4] with each of `others` [n, 4]: float32 [n]. 0
    where neither box has an area."""
    shared = shared_area(box, others)
    union = area(box) + area(others) - shared
    ratio: NDArray[np.float32] = np.divide(
        shared, union, out=np.zeros_like(shared), where=union > 0
    )
    return ratio


def area(boxes: Boxes) -> NDArray[np.float32]:
    """Areas of boxes [..., 4]: float32 [...]. 0 where x2 <= x1 or y2 <= y1."""
    return np.asarray((boxes[..., 2:] - boxes[..., :2]).clip(0).prod(axis=-1), np.float32)


def shared_area(box: Boxes, others: Boxes) -> NDArray[np.float32]:
    """The area that `box` [4] shares with each of `others` [n, 4]: float32 [n]."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    return area(np.concatenate([low, high], axis=1))
