"""Boxes: cut off at the edges of an image, and how much of them is shared."""

from __future__ import annotations

import numpy as np

from face_service.vision.boxes import area, clip, iou


def box(*sides: float) -> np.ndarray:
    return np.array(sides, np.float32)


def test_a_box_is_cut_off_at_every_edge() -> None:
    cut = clip(np.stack([box(-5, -6, 90, 80), box(2, 3, 4, 5)]), 70, 60)
    assert cut.tolist() == [[0, 0, 70, 60], [2, 3, 4, 5]]


def test_overlap_is_intersection_over_union() -> None:
    others = np.stack([box(0, 0, 10, 10), box(5, 0, 15, 10), box(10, 10, 20, 20), box(8, 8, 2, 2)])
    assert iou(box(0, 0, 10, 10), others).tolist() == [1, np.float32(50 / 150), 0, 0]
    assert iou(box(0, 0, 10, 10), np.empty((0, 4), np.float32)).shape == (0,)


def test_a_box_without_an_area_overlaps_nothing() -> None:
    point = box(3, 3, 3, 3)
    assert iou(point, np.stack([point, box(0, 0, 9, 9)])).tolist() == [0, 0]
    assert area(box(8, 8, 2, 9)) == 0
