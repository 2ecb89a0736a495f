"""Quarter turns: points, landmarks, crops."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from face_service.vision.alignment import crop
from face_service.vision.attributes import GenderAge
from face_service.vision.detections import DetectedFace, Detections
from face_service.vision.turning import ANGLES, crop_turn, quarters, turned_back, upright

CLOCKWISE = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


@pytest.mark.parametrize("angle", ANGLES)
def test_what_is_found_in_a_turned_image_is_where_it_is_in_the_image(angle: int) -> None:
    image = np.zeros((30, 50, 3), np.uint8)
    image[7, 40] = 255
    turned = cv2.rotate(image, CLOCKWISE[angle])
    assert np.array_equal(turned, np.rot90(image, quarters(angle)))
    ((row, column),) = np.argwhere(turned[..., 0])
    box = (column - 2, row - 1, column + 3, row + 4)
    shown = Detections(
        np.array([box], np.float32),
        np.ones(1, np.float32),
        np.full((1, 5, 2), (column, row), np.float32),
    )
    found = turned_back(shown, angle, 50, 30)
    assert found.landmarks.tolist() == [[[40, 7]] * 5]
    x1, y1, x2, y2 = found.bboxes[0]
    assert (x1 < 40 < x2, y1 < 7 < y2, (x2 - x1) * (y2 - y1)) == (True, True, 25)
    assert found.turned.tolist() == [angle]


@pytest.mark.parametrize("angle", [0, *ANGLES])
def test_landmarks_are_turned_as_the_image_is(angle: int) -> None:
    right = np.array([[0, 0], [1, 0], [0, 0], [0, 1], [0, 0]], np.float32)
    wanted = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[angle]
    assert upright(right, angle)[1].tolist() == list(wanted)


@pytest.mark.parametrize("angle", ANGLES)
def test_a_crop_is_turned_to_the_pixel(angle: int) -> None:
    crop = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    found = cv2.warpAffine(crop, crop_turn(angle, 16)[:2], (16, 16))
    assert np.array_equal(found, cv2.rotate(crop, CLOCKWISE[angle]))


@pytest.mark.parametrize("angle", ANGLES)
def test_age_and_gender_are_read_from_the_same_crop_as_upright(angle: int) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (12, 20, 3), np.uint8)
    image = cv2.resize(noise, (200, 120), interpolation=cv2.INTER_CUBIC)
    turned = np.ascontiguousarray(cv2.rotate(image, CLOCKWISE[angle]))
    box, landmarks = np.array([30, 40, 70, 95], np.float32), np.zeros((1, 5, 2), np.float32)
    shown = Detections(box[None], np.ones(1, np.float32), landmarks)
    found = turned_back(shown, angle, 200, 120)
    reader = GenderAge(None, None)
    upright = DetectedFace(turned, box, 1.0, landmarks[0])
    lying = DetectedFace(image, found.bboxes[0], 1.0, found.landmarks[0], angle=angle)
    wanted, got = (crop(one.image, reader._matrix(one), 96) for one in (upright, lying))
    assert np.abs(wanted.astype(int) - got).max() <= 3
