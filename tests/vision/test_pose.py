"""Pose from five landmarks: known heads, known turns, and what must not matter."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from face_service.face_engine import Face, FaceEngine, Options
from face_service.vision.blob import Image
from face_service.vision.pose import MEAN_FACE, head_pose


def turned(yaw: float, pitch: float, roll: float) -> NDArray[np.float32]:
    """The landmarks of the mean face, pitched, then yawed, then rolled, 30 pixels a unit."""
    (y, p, r), c, s = np.radians((yaw, pitch, roll)), np.cos, np.sin
    pitched = np.array([[1, 0, 0], [0, c(p), -s(p)], [0, s(p), c(p)]])
    yawed = np.array([[c(y), 0, s(y)], [0, 1, 0], [-s(y), 0, c(y)]])
    rolled = np.array([[c(r), -s(r), 0], [s(r), c(r), 0], [0, 0, 1]])
    seen = MEAN_FACE @ (rolled @ yawed @ pitched).T
    return (seen[:, :2] * 30 + (400, 300)).astype(np.float32)


@pytest.mark.parametrize("yaw", [-70, -30, 0, 15, 60])
@pytest.mark.parametrize("pitch", [-40, 0, 25])
@pytest.mark.parametrize("roll", [-170, -45, 0, 90])
def test_a_known_head_has_its_angles(yaw: float, pitch: float, roll: float) -> None:
    assert head_pose(turned(yaw, pitch, roll)) == pytest.approx((yaw, pitch, roll), abs=1e-3)


def test_the_signs_are_those_a_person_sees() -> None:
    nose = 2
    straight = turned(0, 0, 0)
    assert turned(20, 0, 0)[nose, 0] > straight[nose, 0], "yaw > 0: the nose goes right"
    assert turned(0, 20, 0)[nose, 1] < straight[nose, 1], "pitch > 0: the nose goes up"
    right_eye = turned(0, 0, 20)[1] - turned(0, 0, 20)[0]
    assert right_eye[1] > 0, "roll > 0: clockwise, the eye on the right goes down"


@pytest.mark.parametrize("scale", [0.01, 1, 100])
def test_size_and_place_do_not_matter(scale: float) -> None:
    moved = turned(25, -10, 5) * np.float32(scale) + np.float32(1000)
    assert head_pose(moved) == pytest.approx((25, -10, 5), abs=0.2)


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), 7), np.eye(5, 2)])
def test_impossible_landmarks_give_finite_angles(points: NDArray[np.float64]) -> None:
    assert np.isfinite(head_pose(points.astype(np.float32))).all()


@pytest.fixture(scope="module")
def person(solvay: Path) -> Image:
    """A man of Solvay 1927 and his neighbours."""
    return np.ascontiguousarray(cv2.imread(str(solvay))[700:1100, 2100:2600])


def best(engine: FaceEngine, image: Image) -> Face:
    return engine.analyse_image(image, Options(embeddings=False, attributes=False, max_faces=1))[0]


def test_a_mirrored_photo_looks_the_other_way(engine: FaceEngine, person: Image) -> None:
    pose = best(engine, person).quality.pose
    mirrored = best(engine, np.ascontiguousarray(person[:, ::-1])).quality.pose
    assert abs(pose.yaw) > 5, "a face that is turned, or nothing is shown"
    # The detector is not symmetric to the pixel.
    assert mirrored.yaw == pytest.approx(-pose.yaw, abs=4)
    assert mirrored.pitch == pytest.approx(pose.pitch, abs=4)
    assert mirrored.roll == pytest.approx(-pose.roll, abs=3)


@pytest.mark.parametrize("angle", [-30, 20])
def test_a_rotated_photo_is_rolled(engine: FaceEngine, person: Image, angle: float) -> None:
    height, width = person.shape[:2]
    before = best(engine, person)
    centre = before.landmarks.mean(axis=0).tolist()
    # OpenCV turns against the clock.
    matrix = cv2.getRotationMatrix2D(centre, -angle, 1)
    after = best(engine, cv2.warpAffine(person, matrix, (width, height)))
    assert after.quality.pose.roll - before.quality.pose.roll == pytest.approx(angle, abs=4)
