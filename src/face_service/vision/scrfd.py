"""SCRFD: InsightFace's face detector.

Steps, constants and their order follow `model_zoo/scrfd.py` of insightface 2.1, in float32
throughout, so that boxes, scores and landmarks equal its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from .canvas import Size
from .detections import NO_DETECTIONS, Detections, Floats, by_score
from .detector import MAX_CANDIDATES, STRIDES, Detector, cells

ANCHORS_PER_CELL = 2


class Scrfd(Detector):
    """InsightFace's detector: nine outputs, scores, boxes and landmarks at each stride."""

    __slots__ = ()

    def decode(
        self, outputs: Sequence[Floats], size: Size, min_score: float, scale: float
    ) -> Detections:
        """See `decode_scrfd`."""
        return decode_scrfd(outputs, size, min_score, scale)


@lru_cache(maxsize=64)
def anchor_centers(width: int, height: int, stride: int) -> Floats:
    """float32 [n, 2]: x, y of each anchor's centre; cells by row, two anchors a cell."""
    centers = np.repeat(cells(width, height, stride) * np.float32(stride), ANCHORS_PER_CELL, axis=0)
    centers.setflags(write=False)
    return centers


def decode_scrfd(
    outputs: Sequence[Floats], size: Size, min_score: float, scale: float
) -> Detections:
    """Turn the nine outputs for one canvas into candidates by descending score.

    `outputs`: scores, boxes and landmarks for strides 8, 16, 32, each [N, C] or [1, N, C];
    distances from the anchor in strides. `scale`: pixels of the canvas for a pixel of the image.
    """
    bboxes, scores, landmarks = [], [], []
    for level, stride in enumerate(STRIDES):
        level_scores = outputs[level].reshape(-1)
        (found,) = np.nonzero(level_scores >= min_score)
        if not len(found):
            continue
        centers = anchor_centers(*size, stride)[found]
        distances = outputs[level + 3].reshape(-1, 4)[found] * stride
        offsets = outputs[level + 6].reshape(-1, 5, 2)[found] * stride
        scores.append(level_scores[found])
        bboxes.append(np.hstack((centers - distances[:, :2], centers + distances[:, 2:])))
        landmarks.append(centers[:, None] + offsets)
    if not scores:
        return NO_DETECTIONS
    shrink = np.float32(scale)
    candidates = Detections(
        np.divide(np.concatenate(bboxes), shrink, dtype=np.float32),
        np.concatenate(scores),
        np.divide(np.concatenate(landmarks), shrink, dtype=np.float32),
    )
    return candidates.take(by_score(candidates.scores)[:MAX_CANDIDATES])
