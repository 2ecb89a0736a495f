"""The face verifier: whether what a detector took for a face is one.

A network of InsightFace's packs of version 2. Steps and constants follow
`model_zoo/face_verifier.py` of insightface 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from face_service.runtime.network import Network
from face_service.runtime.pixel_input import Normalization

from .alignment import Affine, crop
from .blob import to_blob
from .detections import DetectedFace

EXPANSION = 1.3
"""Side of the square around a box, in the box's longer sides, where a manifest does not give it."""


@dataclass(frozen=True, slots=True)
class FaceVerifier:
    """A network from upright squares around boxes to the probability of a face.

    normalization: of its input; None for a network that takes pixels. size: side of its input in
    pixels. expansion: see EXPANSION.
    """

    network: Network
    normalization: Normalization | None
    size: int
    expansion: float = EXPANSION

    def confidences(self, faces: Sequence[DetectedFace]) -> list[float | None]:
        """The probability of each, 0..1, in one batch; None for those that a caller knows, whose
        boxes are not a detector's, and for boxes without an area. Raises what `Network.run_batched`
        raises."""
        judged = [not face.known and has_area(face.bbox) for face in faces]
        crops = [
            crop(face.image, square_matrix(face.bbox, self.size, self.expansion), self.size)
            for face, wanted in zip(faces, judged, strict=True)
            if wanted
        ]
        if not crops:
            return [None] * len(faces)
        (answers,) = self.network.run_batched(to_blob(crops, self.normalization))
        probabilities = iter(answers.clip(0, 1).tolist())
        return [next(probabilities) if wanted else None for wanted in judged]


def has_area(bbox: NDArray[np.float32]) -> bool:
    """Whether a box (float32 [4]) has a width and a height above 0."""
    return bool(bbox[2] > bbox[0] and bbox[3] > bbox[1])


def square_matrix(bbox: NDArray[np.float32], size: int, expansion: float) -> Affine:
    """The matrix that cuts the upright square around the middle of a box, its side `expansion`
    times the box's longer one and 2 pixels at least, as `size`×`size`; rounded to float32 as
    insightface rounds it."""
    box = bbox.astype(np.float64)
    side = max(2.0, float((box[2:] - box[:2]).max()) * expansion)
    left, top = (box[:2] + box[2:]) * 0.5 - side * 0.5
    scale = size / side
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]], np.float32)
    return matrix.astype(np.float64)
