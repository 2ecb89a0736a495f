"""The verdict on two lists of faces, rule by rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from face_service.engine_info import EngineInfo
from face_service.face_engine import Face, FaceEngine
from face_service.serving.comparison import MAX_PAIRS, compare
from face_service.thresholds import Threshold
from face_service.vision.pose import Pose
from face_service.vision.quality import Quality, Reason

NAMES = ("file_a", "file_b")
GOOD = Quality(0.9, 90, 2.5, 0.5, 1, 0, None, Pose(0, 0, 0), ())


def face(angle: float, *reasons: Reason) -> Face:
    """A face whose embedding lies at `angle` degrees: similarities are cosines of differences."""
    embedding = np.zeros(512, np.float32)
    embedding[:2] = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return Face(
        bbox=np.array([0, 0, 90, 90], np.float32),
        score=0.9,
        landmarks=np.zeros((5, 2), np.float32),
        embedding=embedding,
        age=None,
        gender=None,
        quality=replace(GOOD, reasons=reasons),
    )


BROKEN = replace(face(0), embedding=None, quality=None, error="landmarks are degenerate")


@pytest.fixture(scope="module")
def info(engine: FaceEngine) -> EngineInfo:
    """The starter pack: a threshold of 0.275, which is an angle of 74 degrees."""
    return engine.info


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ([face(0)], [face(73)], "same_person"),
        ([face(0)], [face(75)], "different_people"),
        ([face(0)], [face(10, "blurred")], "too_poor"),
        ([face(0, "too_small")], [face(80)], "too_poor"),
        ([face(0), face(0, "blurred")], [face(80)], "different_people"),
        ([face(0), face(80, "blurred")], [face(80)], "too_poor"),
        ([face(0), face(80, "blurred")], [face(80), face(10)], "same_person"),
        ([face(0)], [], "no_face"),
        ([face(0)], [BROKEN], "no_face"),
        ([face(0), BROKEN], [BROKEN, face(5)], "same_person"),
    ],
)
def test_verdicts(info: EngineInfo, first: list[Face], second: list[Face], verdict: str) -> None:
    assert compare(first, second, info, NAMES).verdict == verdict
    assert compare(second, first, info, NAMES).verdict == verdict


def test_places_are_those_in_the_lists(info: EngineInfo) -> None:
    found = compare([BROKEN, face(0), face(40)], [face(50), BROKEN, face(41)], info, NAMES)
    assert [(pair.a, pair.b) for pair in found.pairs] == [(2, 2), (2, 0), (1, 2), (1, 0)]
    assert found.best == found.pairs[0]


def test_the_similarity_at_the_threshold_is_the_same_person(info: EngineInfo) -> None:
    a, b = face(0), face(60)
    exact = float(a.embedding @ b.embedding)
    at, above = (
        replace(info, threshold=Threshold(limit, "here")) for limit in (exact, exact + 1e-6)
    )
    assert compare([a], [b], at, NAMES).verdict == "same_person"
    assert compare([a], [b], above, NAMES).verdict == "different_people"


def test_doubt_says_what_is_wrong_with_which_face(info: EngineInfo) -> None:
    poor = face(10, "blurred", "cut_off")
    detail = compare([face(0, "too_dark")], [poor], info, NAMES).detail
    assert "the face in file_a is too dark" in detail
    assert "the face in file_b is blurred and cut off by the frame" in detail


def test_a_threshold_that_nobody_measured_gives_no_verdict(info: EngineInfo) -> None:
    guided = replace(info, threshold=Threshold(0.6, None))
    found = compare([face(0)], [face(0)], guided, NAMES)
    assert found.verdict == "no_threshold"
    assert found.pairs[0].same_person is None
    assert "0.6" in found.detail
    none = replace(guided, threshold=None)
    assert "guidance" not in compare([face(0)], [face(0)], none, NAMES).detail


def test_of_crowds_the_best_pairs_are_listed(info: EngineInfo) -> None:
    crowd = [face(angle, "blurred") for angle in range(90, 130)]
    found = compare([*crowd, face(20)], [*crowd, face(-70)], info, NAMES)
    assert len(found.pairs) == MAX_PAIRS < 41 * 41
    similarities = [pair.similarity for pair in found.pairs]
    assert similarities == sorted(similarities, reverse=True)
    assert similarities[0] == pytest.approx(1)
    assert found.verdict == "too_poor"
    reliable = compare([*crowd, face(20)], [*crowd, face(80)], info, NAMES)
    assert reliable.verdict == "same_person", "found although it is far down the list"


def test_no_similarity_is_greater_than_1(info: EngineInfo) -> None:
    """Unit vectors are rounded to float32: their product may be a little more than 1."""
    long = face(0)
    long = replace(long, embedding=long.embedding * np.float32(1.0000005))
    opposite = replace(long, embedding=-long.embedding)
    found = compare([long], [long, opposite], info, NAMES)
    assert [pair.similarity for pair in found.pairs] == [1, -1]
