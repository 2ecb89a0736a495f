"""The face verifier: what it is given, and whom it is asked about. Equality with insightface:
tests/test_parity_v2.py."""

from __future__ import annotations

import numpy as np
import pytest

from face_service.runtime.pixel_input import Normalization
from face_service.vision.detections import DetectedFace
from face_service.vision.quality import QualityLimits, assess
from face_service.vision.verifier import FaceVerifier, square_matrix

LANDMARKS = np.array([[38, 51], [73, 51], [56, 71], [41, 92], [70, 92]], np.float32)
IMAGE = np.random.default_rng(0).integers(0, 256, (120, 120, 3)).astype(np.uint8)


class Means:
    """A network whose answer is the mean of its input, over 255."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run_batched(self, blob: np.ndarray) -> list[np.ndarray]:
        self.batches.append(len(blob))
        return [blob.mean(axis=(1, 2, 3)) / 255]


def face(*box: float, known: bool = False) -> DetectedFace:
    return DetectedFace(IMAGE, np.array(box, np.float32), 0.9, LANDMARKS, known=known)


def test_all_are_asked_about_in_one_batch_and_those_without_a_box_not_at_all() -> None:
    network = Means()
    verifier = FaceVerifier(network, Normalization((0.0,) * 3, 1.0), 64)  # type: ignore[arg-type]
    faces = [
        face(10, 10, 60, 70),
        face(20, 20, 20, 40),
        face(10, 10, 60, 70, known=True),
        face(500, 500, 600, 600),
    ]
    inside, none, known, outside = verifier.confidences(faces)
    assert network.batches == [2]
    assert (none, known, outside) == (None, None, 0.0)
    assert inside == pytest.approx(0.5, abs=0.05)
    assert verifier.confidences([faces[1]]) == [None]


def test_the_square_has_the_longer_side_and_the_middle_of_the_box() -> None:
    matrix = square_matrix(np.array([10, 20, 30, 60], np.float32), 64, 1.5)
    corners = matrix @ np.array([[-10, 50], [10, 70], [1, 1]])  # 60 pixels around (20, 40)
    np.testing.assert_allclose(corners, [[0, 64], [0, 64]], atol=1e-4)


@pytest.mark.parametrize(
    ("confidence", "least", "reasons"),
    [(None, 0.3, ()), (0.3, 0.3, ()), (0.29, 0.3, ("not_a_face",)), (0.0, 0.0, ())],
)
def test_what_is_hardly_a_face_is_not_usable(
    confidence: float | None, least: float, reasons: tuple[str, ...]
) -> None:
    limits = QualityLimits(
        *(0, 0, 0, 1, 180, 180, 180, 0, 0), max_combing=1000, min_face_confidence=least
    )
    face = DetectedFace(IMAGE, np.array([30, 30, 90, 110], np.float32), 0.9, LANDMARKS)
    found = assess(IMAGE[:112, :112], face, limits, confidence)
    assert found.reasons == reasons
    assert (found.score < 0.5) == bool(reasons)
