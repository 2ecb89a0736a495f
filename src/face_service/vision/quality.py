"""Whether a face is fit to be stored as a reference, and if not, why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .blob import Image
from .combing import combing
from .detections import DetectedFace
from .pose import Pose, head_pose
from .quantisation import compression

Grey = NDArray[np.integer | np.floating]
"""One channel of a crop, 0..255."""

Reason = Literal[
    "too_small",
    "blurred",
    "extreme_pose",
    "too_dark",
    "too_bright",
    "cut_off",
    "low_confidence",
    "interlaced",
    "compressed",
    "not_a_face",
]

FACE = slice(24, 104), slice(20, 92)
"""Rows and columns of a 112×112 crop that a face fills, from the brows to the lower lip: what
lies around it may be sharp or bright while the face is not."""
MARGIN = 5
WITH_MARGIN = slice(24 - MARGIN, 104 + MARGIN), slice(20 - MARGIN, 92 + MARGIN)
WITHOUT_MARGIN = slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN)
"""FACE with the MARGIN pixels that the filters of `sharpness` reach around it; FACE within that."""
SECOND_DERIVATIVES = tuple(
    np.array(kernel, np.float32)
    for kernel in (
        [[0, 0, 0], [1, -2, 1], [0, 0, 0]],
        [[0, 1, 0], [0, -2, 0], [0, 1, 0]],
        [[0.5, 0, 0], [0, -1, 0], [0, 0, 0.5]],
        [[0, 0, 0.5], [0, -1, 0], [0.5, 0, 0]],
    )
)
"""Along the rows, the columns and both diagonals, whose steps are √2 long."""
NO_NOISE: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
BRIGHTNESS_OFFSET = 4.0
"""Added to the brightness (0..255) that detail is measured against, so that the rounding of
pixels in a black crop does not pass for detail."""


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """The limits beyond which a face is not usable: the settings of the same names (QUALITY_…).

    Units are those of `Quality`. Where the defaults come from: benchmarks/studies/quality.py and
    docs/quality-measured.md; that of `min_face_confidence` is the probability from which
    PrivateFrame of insightface 2.1 counts a frame for a face.
    """

    min_size: float = 22.0
    min_sharpness: float = 1.0
    min_brightness: float = 0.07
    max_brightness: float = 0.89
    max_yaw: float = 40.0
    max_pitch: float = 35.0
    max_roll: float = 55.0
    min_visible: float = 0.65
    min_det_score: float = 0.7
    max_combing: float = 18.0
    max_compression: float = 1.2
    min_face_confidence: float = 0.3


@dataclass(frozen=True, slots=True)
class Quality:
    """The measures of one face, which need no other face.

    score: 0..1, the worst of the signals, each 0.5 at its limit; below 0.5 there are reasons.
    size: shorter side of the box inside the image, pixels.
    sharpness: see `sharpness`. brightness: mean of the face's grey, 0..1.
    visible: share of the box's area that lies inside the image, 0..1.
    combing: see `combing`. compression: see `compression`; None if the image was no JPEG.
    """

    score: float
    size: float
    sharpness: float
    brightness: float
    visible: float
    combing: float
    compression: float | None
    pose: Pose
    reasons: tuple[Reason, ...]


def assess(
    crop: Image,
    face: DetectedFace,
    limits: QualityLimits,
    face_confidence: float | None = None,
    noise: Sequence[float] = NO_NOISE,
) -> Quality:
    """Measure a face by what was detected, with the landmarks of the face upright, and by its
    aligned crop (uint8 [112, 112, 3], BGR). face_confidence: a verifier's probability, 0..1; None
    without one, which gives no reason. noise: what noise adds to the detail of the crop
    (`crop_noise`)."""
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    detail = sharpness(grey, noise)
    brightness = cv2.mean(grey[FACE])[0] / 255
    size, visible = visible_part(face.bbox, face.image.shape)
    pose = head_pose(face.landmarks)
    combed = combing(face.image, face.bbox)
    compressed = compression(face.quantisation, shorter_side(face.bbox))
    normalized_scores: tuple[tuple[Reason, float], ...] = (
        ("too_small", at_least(size, limits.min_size)),
        ("blurred", at_least(detail, limits.min_sharpness)),
        ("extreme_pose", at_most(abs(pose.yaw), limits.max_yaw)),
        ("extreme_pose", at_most(abs(pose.pitch), limits.max_pitch)),
        ("extreme_pose", at_most(abs(pose.roll), limits.max_roll)),
        ("too_dark", at_least(brightness, limits.min_brightness)),
        ("too_bright", at_least(1 - brightness, 1 - limits.max_brightness)),
        ("cut_off", at_most(1 - visible, 1 - limits.min_visible)),
        ("low_confidence", at_most(1 - face.score, 1 - limits.min_det_score)),
        ("interlaced", at_most(combed, limits.max_combing)),
        ("compressed", at_most(compressed or 0.0, limits.max_compression)),
        (
            "not_a_face",
            1.0
            if face_confidence is None
            else at_least(face_confidence, limits.min_face_confidence),
        ),
    )
    return Quality(
        score=min(merit for _, merit in normalized_scores),
        size=size,
        sharpness=detail,
        brightness=brightness,
        visible=visible,
        combing=combed,
        compression=compressed,
        pose=pose,
        reasons=tuple(dict.fromkeys(reason for reason, merit in normalized_scores if merit < 0.5)),
    )


def sharpness(grey: Grey, noise: Sequence[float] = NO_NOISE) -> float:
    """Fine detail of an aligned crop, uint8 [112, 112], in percent of its brightness; 0 or more.

    The root mean square of the second derivative, in whichever of four directions it is least:
    a hand that shook blurs in one direction only. Noise is smoothed away first (sigma 1), and
    what is left of it, `noise` in each direction, is no detail. Divided by the brightness, a face
    is as sharp in the shade as in the sun.
    """
    powers = detail_powers(grey)
    power = max(0.0, min(each - less for each, less in zip(powers, noise, strict=True)))
    return float(100 * np.sqrt(power) / (cv2.mean(grey[FACE])[0] + BRIGHTNESS_OFFSET))


def detail_powers(grey: Grey) -> list[float]:
    """Mean square of the second derivative of the face in a crop [112, 112], smoothed, in each of
    the four directions."""
    around = grey[WITH_MARGIN].astype(np.float32)
    smooth = cv2.GaussianBlur(around, (0, 0), 1.0)
    return [
        cv2.norm(cv2.filter2D(smooth, -1, kernel)[WITHOUT_MARGIN], cv2.NORM_L2SQR) / grey[FACE].size
        for kernel in SECOND_DERIVATIVES
    ]


def visible_part(bbox: NDArray[np.float32], image_shape: tuple[int, ...]) -> tuple[float, float]:
    """Shorter side of the part of a box that lies in the image, in pixels, and the share of
    the box's area that it is, 0..1; 0 for a box without area."""
    height, width = image_shape[:2]
    x1, y1, x2, y2 = (float(value) for value in bbox)
    across = max(0.0, min(x2, width) - max(x1, 0.0))
    down = max(0.0, min(y2, height) - max(y1, 0.0))
    area = (x2 - x1) * (y2 - y1)
    return min(across, down), across * down / area if area > 0 else 0.0


def shorter_side(bbox: NDArray[np.float32]) -> float:
    """The shorter side of a box, in pixels, inside the image or not."""
    x1, y1, x2, y2 = bbox.tolist()
    return float(min(x2 - x1, y2 - y1))


def at_least(value: float, limit: float) -> float:
    """How far `value` (0 or more) is above `limit`: 0 at 0, 0.5 at it, 1 from twice it on."""
    return min(1.0, value / (2 * limit)) if limit > 0 else 1.0


def at_most(value: float, limit: float) -> float:
    """How far `value` (0 or more) is below `limit`: 1 at 0, 0.5 at it, 0 from twice it on."""
    if limit > 0:
        return max(0.0, 1 - value / (2 * limit))
    return 1.0 if value <= 0 else 0.0
