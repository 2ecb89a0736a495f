"""What a face detector finds, and non-maximum suppression, which follows `model_zoo/scrfd.py` of
insightface 2.1 in float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .blob import Image

IOU_THRESHOLD = 0.4

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Detections:
    """Faces of one image by descending score, in pixels of that image.

    bboxes float32 [n, 4] as x1, y1, x2, y2, not clipped; scores float32 [n] in 0..1;
    landmarks float32 [n, 5, 2]: left eye, right eye, nose, mouth left, mouth right, as
    seen in the picture. angles int16 [n]: degrees clockwise, 0, 90, 180 or 270, by which the
    picture was turned when the face was found; None means 0 for all.
    """

    bboxes: Floats
    scores: Floats
    landmarks: Floats
    angles: NDArray[np.int16] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, indices: NDArray[np.intp] | slice) -> Detections:
        """These faces alone, in this order."""
        angles = None if self.angles is None else self.angles[indices]
        return Detections(
            self.bboxes[indices], self.scores[indices], self.landmarks[indices], angles
        )

    @property
    def turned(self) -> NDArray[np.int16]:
        """`angles`; zeros where that is None."""
        return np.zeros(len(self), np.int16) if self.angles is None else self.angles


NO_DETECTIONS = Detections(
    np.empty((0, 4), np.float32),
    np.empty(0, np.float32),
    np.empty((0, 5, 2), np.float32),
)


class DetectedFace(NamedTuple):
    """One detection and the image it was found in (uint8 [height, width, 3], BGR).

    bbox float32 [4], score 0..1, landmarks float32 [5, 2], angle in degrees, as in `Detections`.
    quantisation: see `luminance_step`; None if the image was no JPEG. known: a caller gave the
    landmarks, and `bbox` is the smallest box around them.
    """

    image: Image
    bbox: Floats
    score: float
    landmarks: Floats
    quantisation: float | None = None
    known: bool = False
    angle: int = 0


def merge(passes: Sequence[Detections]) -> Detections:
    """The candidates of several passes together, by descending score; none is suppressed."""
    if len(passes) == 1:
        return passes[0]
    if not passes:
        return NO_DETECTIONS
    together = Detections(
        np.concatenate([found.bboxes for found in passes]),
        np.concatenate([found.scores for found in passes]),
        np.concatenate([found.landmarks for found in passes]),
        None
        if all(found.angles is None for found in passes)
        else np.concatenate([found.turned for found in passes]),
    )
    return together.take(by_score(together.scores))


def by_score(scores: Floats) -> NDArray[np.intp]:
    """Indices by descending score; equal scores keep their order."""
    return np.argsort(-scores, kind="stable")


def suppress(candidates: Detections) -> Detections:
    """Non-maximum suppression of candidates that are sorted by descending score.

    A box is dropped if it overlaps a better one that is kept with IoU > 0.4; areas count the pixels
    at both ends (the +1 convention).
    """
    x1, y1, x2, y2 = candidates.bboxes.T
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    order = np.arange(len(candidates))
    keep = []
    while order.size:
        best, rest = order[0], order[1:]
        keep.append(best)
        width = np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest]) + 1
        height = np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest]) + 1
        overlap = np.maximum(0.0, width) * np.maximum(0.0, height)
        order = rest[overlap / (areas[best] + areas[rest] - overlap) <= IOU_THRESHOLD]
    return candidates.take(np.array(keep, np.intp))
