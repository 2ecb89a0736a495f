"""What is chosen from all that the detector found."""

from __future__ import annotations

import numpy as np
import pytest

from face_service.face_engine import Options, select
from face_service.vision.scrfd import Detections

IMAGE = np.zeros((100, 200, 3), np.uint8)


def found(*boxes: tuple[float, float, float, float]) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.linspace(0.9, 0.6, count).astype(np.float32),
        np.zeros((count, 5, 2), np.float32),
    )


@pytest.mark.parametrize(
    "outside",
    [
        pytest.param((10, 101, 60, 140), id="below the image"),
        pytest.param((-60, 10, -5, 60), id="left of it"),
        pytest.param((50, 20, 40, 60), id="inside out"),
    ],
)
def test_a_box_with_nothing_inside_the_image_is_no_face(
    outside: tuple[float, float, float, float],
) -> None:
    inside, cut = (10, 10, 60, 70), (150, 80, 260, 190)
    chosen = select(found(inside, outside, cut), IMAGE, Options())
    assert chosen.bboxes.tolist() == [list(inside), list(cut)]


def test_the_size_filter_measures_what_is_inside_and_comes_before_the_count() -> None:
    boxes = found((0, 0, 50, 50), (170, 10, 260, 90), (60, 0, 120, 45))
    chosen = select(boxes, IMAGE, Options(min_face_size=40, max_faces=2))
    assert chosen.bboxes[:, 0].tolist() == [0, 60]
