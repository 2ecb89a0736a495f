"""Tracks by time, place and cosine, and the faces that represent a group."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from face_service.grouping import tracks
from face_service.grouping.faces import Faces, mean_of
from face_service.grouping.grouping import GroupOptions, group
from face_service.grouping.representatives import best_of, representatives
from face_service.grouping.tracks import TrackLimits, find_tracks, overlap, split

LIMITS = TrackLimits(similarity=0.2, similarity_elsewhere=0.5, max_gap=2.5)
HERE, THERE = (10, 10, 60, 60), (300, 10, 350, 60)


def at(*degrees: float) -> np.ndarray:
    """Unit vectors in a plane: similarities are cosines of differences."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def faces(
    degrees: Sequence[float],
    times: Sequence[float],
    boxes: Sequence[Sequence[float]] | None = None,
    quality: Sequence[float] | None = None,
    sources: Sequence[int] | None = None,
) -> Faces:
    n = len(degrees)
    return Faces(
        at(*degrees),
        np.array(times, float),
        np.array(boxes or [[np.nan] * 4] * n, np.float32),
        np.array(quality or [np.nan] * n, np.float32),
        np.array(sources or [0] * n, np.int64),
    )


@pytest.mark.parametrize(
    ("degrees", "times", "boxes", "expected"),
    [
        ([0, 50], [0, 1], [HERE, HERE], [[0, 1]]),
        ([0, 70], [0, 1], [HERE, THERE], [[0], [1]]),  # not alike enough elsewhere
        ([0, 70], [0, 1], [HERE, HERE], [[0, 1]]),  # but in the same place
        ([0, 85], [0, 1], [HERE, HERE], [[0], [1]]),  # another person after a cut
        ([0, 0], [0, 2.5], None, [[0, 1]]),
        ([0, 0], [0, 2.6], None, [[0], [1]]),  # too long ago
        ([0, 0], [1, 1], None, [[0], [1]]),  # two in one frame
        ([0, 0], [1, 0], None, [[1, 0]]),  # by time, whatever the order
        ([0, 40, 0, 40], [0, 0, 1, 1], None, [[0, 2], [1, 3]]),  # the most alike first
        ([0, 40, 40, 0], [0, 0, 1, 1], None, [[0, 3], [1, 2]]),
        ([0, 0], [np.nan, np.nan], None, [[0], [1]]),
    ],
)
def test_faces_become_tracks(
    degrees: list[float], times: list[float], boxes: list | None, expected: list[list[int]]
) -> None:
    assert find_tracks(faces(degrees, times, boxes), LIMITS) == expected


def test_sources_are_apart() -> None:
    seen = faces([0, 0, 0], [0, 1, 2], sources=[0, 1, 0])
    assert find_tracks(seen, LIMITS) == [[0, 2], [1]]


def test_a_track_is_as_its_faces_are_together() -> None:
    """The fourth face is unlike the third, and like the three."""
    seen = faces([0, 0, 55, -20], [0, 1, 2, 3])
    assert find_tracks(seen, LIMITS) == [[0, 1, 2, 3]]


def plainly(seen: Faces, limits: TrackLimits, most: int) -> list[list[int]]:
    """Tracks of one source as they are defined, pair by pair."""
    ended: list[list[int]] = []
    going: list[list[int]] = []
    for time in sorted(set(seen.times.tolist())):
        frame = np.flatnonzero(seen.times == time).tolist()
        old = [track for track in going if seen.times[track[-1]] < time - limits.max_gap]
        ended += old
        going = [track for track in going if track not in old]
        scores: list[tuple[float, int, int]] = []
        for face in frame:
            for place, track in enumerate(going):
                total = seen.embeddings[track].sum(axis=0)
                cosine = float(seen.embeddings[face] @ total / np.linalg.norm(total))
                shared = overlap(seen.boxes[[face]], seen.boxes[[track[-1]]])[0, 0]
                needed = limits.similarity if shared >= 0.3 else limits.similarity_elsewhere
                if cosine >= needed:
                    scores.append((needed - cosine, face, place))
        joined: dict[int, int] = {}
        for _, face, place in sorted(scores):
            if face not in joined and place not in joined.values():
                joined[face] = place
        rest = [track for place, track in enumerate(going) if place not in joined.values()]
        going = [
            *rest,
            *([*going[place], face] for face, place in joined.items()),
            *([face] for face in frame if face not in joined),
        ]
        ended += going[: max(0, len(going) - most)]
        going = going[max(0, len(going) - most) :]
    return sorted([*ended, *going], key=min)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from([0.0, 1.0, 2.5]))
def test_tracks_are_those_of_the_definition(seed: int, most: int, max_gap: float) -> None:
    """With few slots, which are used again and again."""
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 30))
    boxes = [HERE, THERE, [np.nan] * 4]
    seen = faces(
        random.uniform(0, 360, count).tolist(),
        random.integers(0, 8, count).tolist(),
        [boxes[box] for box in random.integers(0, 3, count)],
    )
    limits = TrackLimits(0.2, 0.5, max_gap)
    with patch.object(tracks, "MAX_OPEN", most):
        assert find_tracks(seen, limits) == plainly(seen, limits, most)


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [
        ([0, 2, 70, 72, 71], [[0, 1], [2, 3, 4]]),  # another person in the same place
        ([0, 2, 70, 72, 140, 141], [[0, 1], [2, 3], [4, 5]]),
        ([0, 2, 70, 1, 0], [[0, 1, 2, 3, 4]]),  # a head that turns away for one frame
        ([0, 20, 40, 60, 80, 100], [[0, 1, 2, 3, 4, 5]]),  # one that turns step by step
        ([0, 2, 4, 70], [[0, 1, 2, 3]]),
        ([0, 70, 2, 70, 2, 70], [[0, 1, 2, 3, 4, 5]]),
        ([0], [[0]]),
    ],
)
def test_a_track_is_cut_where_somebody_takes_anothers_place(
    degrees: list[float], expected: list[list[int]]
) -> None:
    seen = faces(degrees, range(len(degrees)), [HERE] * len(degrees))
    assert list(split(seen, [*range(len(degrees))], LIMITS)) == expected
    with ThreadPoolExecutor(1) as pool:
        found = group(seen, GroupOptions(LIMITS.similarity_elsewhere, LIMITS.similarity), pool)
    assert [track.faces for track in found.tracks] == expected


def test_overlap_is_intersection_over_union() -> None:
    nowhere = [np.nan] * 4
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [2, 2, 0, 0], nowhere], np.float32)
    found = overlap(boxes[:2], boxes)
    assert found[0] == pytest.approx([1, 1 / 3, 0, 0, 0])
    assert found[1] == pytest.approx([1 / 3, 1, 0, 0, 0])


def test_the_best_face_is_that_of_the_best_quality_or_the_nearest_to_the_mean() -> None:
    assert best_of(faces([0, 10, 50], [0, 1, 2], quality=[0.5, 0.6, 0.9]), [0, 1, 2]) == 2
    assert best_of(faces([0, 10, 50], [0, 1, 2]), [0, 1, 2]) == 1
    assert best_of(faces([0, 10, 50], [0, 1, 2], quality=[0.5, 0.6, 0.9]), [0, 1]) == 1


def test_representatives_differ_are_good_and_belong() -> None:
    degrees = [0, 2, 40, -40, 42, 80]
    seen = faces(degrees, range(6), quality=[0.9, 0.8, 0.7, 0.7, 0.7, 0.3])
    assert representatives(seen, range(6), 9, 0.2) == [0, 4, 3], "not 1 and 2: they are alike"
    assert representatives(seen, range(6), 2, 0.2) == [0, 4]
    unlike = faces([0, 5, 10, 100], range(4))
    assert 3 not in representatives(unlike, range(4), 9, 0.5), "it may not belong to them"
    assert representatives(seen, [5], 9, 0.2) == [5], "a bad face is better than none"


def test_the_mean_of_opposites_is_a_unit_vector() -> None:
    assert np.linalg.norm(mean_of(at(0, 180))) == pytest.approx(1)


def test_a_track_has_one_vote() -> None:
    """Forty faces of a long track at 0 degrees weigh no more than the one at 100."""
    seen = faces([0.0] * 40 + [100.0, 50.0], [*map(float, range(40)), 500.0, 900.0])
    with ThreadPoolExecutor(1) as pool:
        found = group(seen, GroupOptions(0.2, 0.2), pool)
    (everyone,) = found.groups
    assert everyone.tracks == [0, 1, 2]
    assert np.degrees(np.arctan2(*everyone.embedding[::-1])) == pytest.approx(50)
