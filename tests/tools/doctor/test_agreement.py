"""When a provider agrees with the CPU, and when a pack makes sense."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from face_service.tools.doctor.agreement import SanityCheck, compare, matched, sense, turned_back


def face(x: float = 10, score: float = 0.8, towards: int = 0, blur: float = 0) -> dict[str, Any]:
    """A face 40 pixels wide at x, whose embedding points along an axis, more or less."""
    embedding = np.full(8, blur)
    embedding[towards] = 1
    return {
        "bbox": [x, 20, x + 40, 70],
        "score": score,
        "embedding": (embedding / np.linalg.norm(embedding)).tolist(),
    }


def test_the_same_faces_agree() -> None:
    faces = [face(10, 0.8, 0), face(100, 0.7, 1)]
    found = compare(faces, faces, "fp32")
    assert (found.found, found.expected, found.box, found.score) == (2, 2, 0, 0)
    assert found.cosine == pytest.approx(1)
    assert found.within


@pytest.mark.parametrize(
    ("other", "in_fp32", "in_bf16"),
    [
        (face(10.5), True, True),
        (face(13), False, True),
        (face(17), False, False),
        (face(score=0.805), True, True),
        (face(score=0.83), False, True),
        (face(score=0.9), False, False),
        (face(blur=0.005), True, True),
        (face(blur=0.05), False, True),
        (face(blur=0.2), False, False),
        (face(towards=1), False, False),
        (face(500), False, False),
    ],
)
def test_how_far_results_may_be_apart(other: dict[str, Any], in_fp32: bool, in_bf16: bool) -> None:
    assert compare([other], [face()], "fp32").within is in_fp32
    assert compare([other], [face()], "bf16").within is in_bf16
    assert compare([other], [face()], "int8").within is in_fp32


def test_only_a_borderline_face_may_be_missing() -> None:
    assert compare([face()], [face(), face(100, 0.55, 1)], "fp32").within
    assert not compare([face()], [face(), face(100, 0.65, 1)], "fp32").within
    assert not compare([face(), face(100, 0.65, 1)], [face()], "fp32").within


def test_no_face_at_all_is_agreed_on() -> None:
    found = compare([], [], "fp32")
    assert found.within
    assert found.box is found.cosine is None


def test_a_face_is_found_again_in_the_mirror() -> None:
    assert turned_back([10, 20, 50, 70], 200) == [150, 20, 190, 70]
    faces = [face(10, towards=0), face(100, towards=1)]
    turned = [{**one, "bbox": turned_back(one["bbox"], 200)} for one in reversed(faces)]
    assert matched(faces, turned) == []
    found = sense(faces, turned, 200)
    assert found.least_same == pytest.approx(1)
    assert found.most_other == pytest.approx(0)
    assert found.tells_apart


@pytest.mark.parametrize(
    ("same", "other", "apart"),
    [
        (0.96, 0.38, True),
        (0.997, 0.994, False),
        (0.3, 0.4, False),
        (None, 0.4, True),
        (0.9, None, True),
    ],
)
def test_a_pack_that_tells_apart(same: float | None, other: float | None, apart: bool) -> None:
    assert SanityCheck(same, other).tells_apart is apart
