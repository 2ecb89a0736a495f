"""Frames of two fields."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from face_service.face_engine import Face
from face_service.vision.blob import Image
from face_service.vision.combing import combing
from face_service.vision.quality import (
    QualityLimits,
)


def woven(image: Image, shift: int) -> Image:
    """Odd rows from a moment at which everything was so many pixels further left."""
    combed = image.copy()
    combed[1::2] = np.roll(image, -shift, axis=1)[1::2]
    return combed


@pytest.mark.parametrize("size", [70, 95, 285])
def test_a_face_of_two_moments_is_interlaced(
    portrait: Image, face: Face, reasons_of: Callable, size: int
) -> None:
    scale = size / float(face.bbox[2] - face.bbox[0])
    image = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert "interlaced" not in reasons_of(image)
    assert "interlaced" in reasons_of(woven(image, round(0.08 * size)))
    assert "interlaced" not in reasons_of(woven(image, 0))


def test_neither_noise_nor_a_shaken_camera_is_combing(portrait: Image, face: Face) -> None:
    random = np.random.default_rng(0)
    whole = np.array([0, 0, *portrait.shape[1::-1]], np.float32)
    limit = QualityLimits().max_combing
    noisy = np.clip(portrait + random.normal(0, 12, portrait.shape), 0, 255).astype(np.uint8)
    dark = np.round(np.clip(portrait / 40 + random.normal(0, 2, portrait.shape), 0, 255))
    for image in (noisy, dark.astype(np.uint8), cv2.blur(portrait, (17, 1))):
        assert combing(image, whole) < limit / 3
    assert combing(woven(noisy, 8), whole) > limit
    assert combing(np.zeros((100, 100, 3), np.uint8), whole) == 0
    assert combing(portrait, np.array([5, 5, 7, 90], np.float32)) == 0
    assert combing(portrait, np.array([-90, -90, -7, -9], np.float32)) == 0
