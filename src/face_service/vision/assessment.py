"""Whether faces of an image are fit to be kept: what `quality` measures, and on which pixels."""

from __future__ import annotations

import numpy as np

from .alignment import AlignedFace, Alignment, align, without_aliasing
from .blob import Image
from .detections import DetectedFace, Detections, Floats
from .filtering import select
from .noise import crop_noise
from .quality import Quality, QualityLimits, assess
from .turning import upright


def assess_face(
    aligned: AlignedFace,
    face: DetectedFace,
    limits: QualityLimits,
    confidence: float | None = None,
) -> Quality:
    """`assess` a face by a crop without aliasing, less the detail that noise adds to it, and by its
    landmarks turned by `face.angle`: its pose is that of the face upright.

    confidence: a verifier's probability that it is a face, 0..1; None without one.
    """
    crop, image, matrix = without_aliasing(aligned)
    turned = face._replace(landmarks=upright(face.landmarks, face.angle))
    return assess(crop, turned, limits, confidence, crop_noise(image, matrix))


def usable_box(
    image: Image, found: Detections, limits: QualityLimits, alignment: Alignment, most: int
) -> Floats | None:
    """The box, float32 [4], of the first of the best `most` faces of an image (uint8 [height,
    width, 3], BGR) that is fit to be stored, as far as one can tell without a verifier; None where
    none is."""
    sure = found.take(np.flatnonzero(found.scores >= limits.min_det_score)[:most])
    for face in select(sure, image, 0, None, most).faces:
        aligned = align(image, face.landmarks, alignment)
        if aligned and not assess_face(aligned, face, limits).reasons:
            return face.bbox
    return None
