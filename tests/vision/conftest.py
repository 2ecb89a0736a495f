"""The clearest face of Solvay 1927, and what is said against a face."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_service.face_engine import Face, FaceEngine
from face_service.vision.blob import Image
from tests.vision.judging import LOOK


@pytest.fixture(scope="module")
def group(solvay: Path) -> Image:
    return cv2.imread(str(solvay))


@pytest.fixture(scope="module")
def face(engine: FaceEngine, group: Image) -> Face:
    """The clearest face of Solvay 1927."""
    return engine.analyse_image(group, LOOK)[0]


@pytest.fixture(scope="module")
def portrait(group: Image, face: Face) -> Image:
    """The same face with what is around it."""
    x1, y1, x2, y2 = face.bbox.astype(int)
    margin = 2 * (x2 - x1)
    return np.ascontiguousarray(group[y1 - margin : y2 + margin, x1 - margin : x2 + margin])


@pytest.fixture(scope="module")
def reasons_of(engine: FaceEngine) -> Callable[[Image], tuple[str, ...]]:
    """The reasons against the face nearest to the middle of an image."""

    def reasons(image: Image) -> tuple[str, ...]:
        found = engine.analyse_image(image, LOOK)
        assert found, "no face is left to judge"
        middle = np.array(image.shape[1::-1]) / 2
        nearest = min(found, key=lambda one: float(np.abs(one.landmarks[2] - middle).sum()))
        assert nearest.quality
        return nearest.quality.reasons

    return reasons
