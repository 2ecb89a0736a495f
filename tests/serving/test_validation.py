"""What leaves an engine is fit to be stored, or does not leave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from face_service.errors import InferenceFailed
from face_service.face_engine import Face
from face_service.serving.validation import validate

UNIT = np.full(512, 512**-0.5, np.float32)
GOOD = Face(
    bbox=np.array([-3, 4, 50, 60], np.float32),
    score=0.9,
    landmarks=np.ones((5, 2), np.float32),
    embedding=UNIT,
    age=30,
    gender="F",
)


def test_a_good_face_passes_with_and_without_an_embedding() -> None:
    validate([GOOD, replace(GOOD, embedding=None)])
    validate([])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bbox": np.array([0, 0, np.nan, 1], np.float32)}, "box"),
        ({"bbox": np.array([0, 0, np.inf, 1], np.float32)}, "box"),
        ({"landmarks": np.full((5, 2), np.nan, np.float32)}, "landmarks"),
        ({"score": float("nan")}, "score"),
        ({"score": 1.01}, "score"),
        ({"embedding": UNIT * np.float32(1.01)}, "unit vector"),
        ({"embedding": np.zeros(512, np.float32)}, "unit vector"),
        ({"embedding": np.full(512, np.nan, np.float32)}, "unit vector"),
    ],
)
def test_one_bad_face_is_a_failure(change: dict[str, object], words: str) -> None:
    with pytest.raises(InferenceFailed, match=words):
        validate([GOOD, replace(GOOD, **change)])
