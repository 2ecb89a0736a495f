"""Whether faces of an image are fit to be kept: what `quality` measures, and on which pixels."""

from __future__ import annotations

import numpy as np

from .alignment import Alignment, align_face, may_be_averaged
from .blob import Image
from .detections import DetectedFace, Detections, Floats
from .filtering import select
from .noise import crop_noise
from .quality import Quality, QualityLimits, assess
from .turning import upright


def assess_face(
    crop: Image,
    face: DetectedFace,
    limits: QualityLimits,
    alignment: Alignment,
    confidence: float | None = None,
) -> Quality:
    """`assess` of a face whose `crop` (uint8 [112, 112, 3], BGR) was cut by `alignment`, without
    what aliasing and noise add to its detail, in the picture turned as it shows the face upright.

    confidence: that it is a face, 0..1, by a verifier; None where there is none.
    """
    if alignment != "antialiased" and may_be_averaged(face.landmarks):
        averaged = align_face(face.image, face.landmarks, "antialiased")
        crop = crop if averaged is None else averaged
    noise = crop_noise(face.image, face.landmarks)
    turned = face._replace(landmarks=upright(face.landmarks, face.angle))
    return assess(crop, turned, limits, confidence, noise)


def usable_box(
    image: Image, found: Detections, limits: QualityLimits, alignment: Alignment, most: int
) -> Floats | None:
    """The box, float32 [4], of the first of the best `most` faces of an image (uint8 [height,
    width, 3], BGR) that is fit to be stored, as far as one can tell without a verifier; None where
    none is."""
    sure = found.take(np.flatnonzero(found.scores >= limits.min_det_score)[:most])
    for face in select(sure, image, 0, None, most).faces:
        crop = align_face(image, face.landmarks, alignment)
        if crop is not None and not assess_face(crop, face, limits, alignment).reasons:
            return face.bbox
    return None
