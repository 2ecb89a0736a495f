"""QUALITY_*: from which values on a face is not fit to be stored."""

from __future__ import annotations

from pydantic import Field

from face_service.settings.address import Address
from face_service.vision.quality import QualityLimits

LIMITS = QualityLimits()


class QualitySettings(Address):
    """The limits of a usable face, as docs/quality.md explains them."""

    quality_min_size: float = Field(
        LIMITS.min_size,
        ge=0,
        le=10_000,
        description="Least shorter side of a usable face's box inside the image, in pixels.",
    )
    quality_min_sharpness: float = Field(
        LIMITS.min_sharpness, ge=0, le=100, description="Least sharpness of a usable face."
    )
    quality_min_brightness: float = Field(
        LIMITS.min_brightness, ge=0, le=1, description="Least brightness of a usable face."
    )
    quality_max_brightness: float = Field(
        LIMITS.max_brightness, ge=0, le=1, description="Most brightness of a usable face."
    )
    quality_max_yaw: float = Field(
        LIMITS.max_yaw, gt=0, le=180, description="Most degrees a usable face is turned sideways."
    )
    quality_max_pitch: float = Field(
        LIMITS.max_pitch, gt=0, le=180, description="Most degrees a usable face looks up or down."
    )
    quality_max_roll: float = Field(
        LIMITS.max_roll, gt=0, le=180, description="Most degrees a usable face is tilted."
    )
    quality_min_visible: float = Field(
        LIMITS.min_visible, ge=0, le=1, description="Least share of a usable face's box inside."
    )
    quality_min_det_score: float = Field(
        LIMITS.min_det_score, ge=0, le=1, description="Least detection score of a usable face."
    )
    quality_max_combing: float = Field(
        LIMITS.max_combing,
        gt=0,
        le=1000,
        description="Most combing (interlaced video) of a usable face, in percent of its contrast.",
    )
    quality_max_compression: float = Field(
        LIMITS.max_compression,
        gt=0,
        le=1000,
        description="Most compression of a usable face: the JPEG's mean quantisation step divided "
        "by the number of 8×8 blocks in the face.",
    )
    quality_min_face_confidence: float = Field(
        LIMITS.min_face_confidence,
        ge=0,
        le=1,
        description="Least probability of a face, where the pack has a verifier.",
    )
