"""What noise adds to the detail of a face is told from it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from face_service.face_engine import FaceEngine
from face_service.vision.alignment import ARCFACE_TEMPLATE, align
from face_service.vision.blob import Image
from face_service.vision.noise import crop_noise
from face_service.vision.quality import (
    NO_NOISE,
    detail_powers,
    sharpness,
)
from tests.vision.judging import LOOK


def noise_of(image: Image, landmarks: np.ndarray) -> tuple[float, ...]:
    """`crop_noise` of a face; none where there is no crop."""
    aligned = align(image, landmarks, "antialiased")
    return crop_noise(aligned.image, aligned.matrix) if aligned else NO_NOISE


def grey_crop(image: Image, landmarks: np.ndarray) -> np.ndarray:
    """The averaged crop of a face, uint8 [112, 112]."""
    aligned = align(image, landmarks, "antialiased")
    assert aligned
    return cv2.cvtColor(aligned.crop, cv2.COLOR_BGR2GRAY)


@pytest.mark.parametrize("factor", [0.5, 1, 3])
def test_noise_is_no_detail(portrait: Image, engine: FaceEngine, factor: float) -> None:
    """At any size of the face: of a clear one it hides some, of one out of focus it makes none."""
    size = cv2.INTER_AREA if factor < 1 else cv2.INTER_LANCZOS4
    clear = cv2.resize(portrait, None, fx=factor, fy=factor, interpolation=size)
    dull = cv2.GaussianBlur(clear, (0, 0), 2.5 * factor)
    random = np.random.default_rng(0)
    middle = np.array(clear.shape[1::-1]) / 2

    def measured(image: Image, landmarks: np.ndarray) -> float:
        return sharpness(grey_crop(image, landmarks), noise_of(image, landmarks))

    faces = engine.analyse_image(clear, LOOK)
    face = min(faces, key=lambda one: float(np.abs(one.landmarks[2] - middle).sum()))
    for image in (clear, dull):
        clean = measured(image, face.landmarks)
        for level in (10, 25):
            noisy = np.clip(image + random.normal(0, level, image.shape), 0, 255)
            noisy = noisy.astype(np.uint8)
            assert measured(noisy, face.landmarks) < 1.15 * clean + 0.2
    (found,) = [one for one in faces if one is face]
    assert found.quality.sharpness == pytest.approx(measured(clear, face.landmarks))


def test_noise_that_is_sent_the_way_of_a_face_tells_what_is_left_of_it() -> None:
    noise = np.random.default_rng(1).normal(128, 12, (400, 400, 1)).repeat(3, axis=2)
    noisy = noise.clip(0, 255).astype(np.uint8)
    for scale in (0.4, 1, 1.7, 3):
        points = (ARCFACE_TEMPLATE * scale + 30).astype(np.float32)
        left = np.array(noise_of(noisy, points))
        assert left == pytest.approx(detail_powers(grey_crop(noisy, points)), rel=0.4)
    assert noise_of(np.full((400, 400, 3), 90, np.uint8), points) == NO_NOISE
    for far in (ARCFACE_TEMPLATE + 5000, ARCFACE_TEMPLATE * 3 - 5000, ARCFACE_TEMPLATE * 0):
        assert noise_of(noisy, far.astype(np.float32)) == NO_NOISE
