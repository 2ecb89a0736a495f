"""Which of the faces that were found are described."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from .blob import Image
from .boxes import area, clip
from .closer import Coverage
from .detections import DetectedFace, Detections
from .gate_policy import SKIPPED, Verdict

Order = Literal["score", "size", "center"]
"""Which faces come first: those the detector is surest of, the largest, or those nearest to the
middle of the picture."""


class Found(NamedTuple):
    """The faces that pass the filters, in the order asked for, how many more would have been there
    without MAX_FACES, the gate's verdict, and how closely the image was looked at (coverage: None
    where its faces were known)."""

    faces: list[DetectedFace]
    omitted: int
    verdict: Verdict = SKIPPED
    coverage: Coverage | None = None


def select(
    found: Detections,
    image: Image,
    min_face_size: float,
    wanted: int | None,
    max_faces: int,
    order: Order = "score",
) -> Found:
    """The faces whose shorter side inside the image is at least `min_face_size` pixels, then the
    first `wanted` of them in `order`, None for all, and at most `max_faces`.

    A box of which nothing lies inside the image is left out, whatever `min_face_size`: the detector
    found it on the black of its canvas.
    """
    height, width = image.shape[:2]
    boxes = clip(found.bboxes, width, height)
    sides = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    fitting = np.flatnonzero((sides > 0) & (sides >= min_face_size))
    if order == "size":
        fitting = fitting[np.argsort(-area(boxes[fitting]), kind="stable")]
    elif order == "center":
        middles = (boxes[fitting, :2] + boxes[fitting, 2:]) / 2
        away = np.hypot(*(middles - np.array([width, height], np.float32) / 2).T)
        fitting = fitting[np.argsort(away, kind="stable")]
    fitting = fitting[:wanted]
    faces = [
        DetectedFace(
            image,
            found.bboxes[i],
            float(found.scores[i]),
            found.landmarks[i],
            angle=int(found.turned[i]),
        )
        for i in fitting[:max_faces]
    ]
    return Found(faces, len(fitting) - len(faces))
