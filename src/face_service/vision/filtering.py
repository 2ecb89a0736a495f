"""Which of the faces that were found are described."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .blob import Image
from .boxes import clip
from .gate_policy import SKIPPED, Verdict
from .scrfd import DetectedFace, Detections


class Found(NamedTuple):
    """The faces that pass the filters, by descending score, how many more would have been there
    without MAX_FACES, and what the gate said."""

    faces: list[DetectedFace]
    omitted: int
    verdict: Verdict = SKIPPED


def select(
    found: Detections, image: Image, min_face_size: float, wanted: int | None, max_faces: int
) -> Found:
    """The faces whose shorter side inside the image is at least `min_face_size` pixels, then the
    best `wanted` of them, None for all, and at most `max_faces`.

    A box of which nothing lies inside the image passes none: the detector saw it on the black
    of its canvas.
    """
    boxes = clip(found.bboxes, image.shape[1], image.shape[0])
    sides = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    fitting = np.flatnonzero((sides > 0) & (sides >= min_face_size))[:wanted]
    faces = [
        DetectedFace(image, found.bboxes[i], float(found.scores[i]), found.landmarks[i])
        for i in fitting[:max_faces]
    ]
    return Found(faces, len(fitting) - len(faces))
