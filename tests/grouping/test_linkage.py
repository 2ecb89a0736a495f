"""Average linkage: the same clusters as one merge at a time, and none that frames forbid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from face_service.grouping import chain, linkage
from face_service.grouping.faces import Vectors
from face_service.grouping.linkage import average_linkage

ROUNDED = 1.5 / chain.SCALE
"""Cosines that are as near to each other as this may be told apart in one way or the other."""


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def people(count: int, each: int, seed: int, noise: float = 1.0) -> Vectors:
    """`each` unit vectors of so many people, in random order; mates have a cosine of about
    1 / (1 + noise²)."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((count, 64))
    found = np.repeat(centres, each, axis=0) + noise * random.standard_normal((count * each, 64))
    found = random.permutation(found)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def one_merge_at_a_time(
    vectors: Vectors, threshold: float, frames: Sequence[Sequence[int]]
) -> list[set[int]]:
    """Average linkage as the textbook has it, on a matrix of all similarities. Examples that
    rounding decides are none."""
    cosines = vectors.astype(float) @ vectors.astype(float).T
    clusters = [{n} for n in range(len(vectors))]
    while True:
        means: dict[tuple[int, int], float] = {}
        for i, a in enumerate(clusters):
            for j, b in enumerate(clusters[:i]):
                apart = {f for n in a for f in frames[n]}.isdisjoint(
                    f for n in b for f in frames[n]
                )
                mean = cosines[np.ix_(sorted(a), sorted(b))].mean()
                assume(abs(mean - threshold) > ROUNDED)
                if apart and mean >= threshold:
                    means[j, i] = mean
        if not means:
            return clusters
        first, second = max(means, key=means.__getitem__)
        best = means.pop((first, second))
        touching = [mean for pair, mean in means.items() if {first, second} & {*pair}]
        assume(best - max(touching, default=-1) > ROUNDED)
        clusters[first] |= clusters.pop(second)


def as_sets(labels: Sequence[int]) -> list[set[int]]:
    return [{n for n, one in enumerate(labels) if one == label} for label in sorted(set(labels))]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    each=st.integers(1, 5),
    threshold=st.floats(-0.2, 0.9),
    seen=st.lists(st.lists(st.integers(0, 8), max_size=3), min_size=30, max_size=30),
    limits=st.sampled_from([{"MAX_ROUND": 999}, {"MAX_ROUND": 0}, {"MAX_PAIRS": 0}]),
    batch=st.sampled_from([1, 3, 32]),
)
def test_the_clusters_are_those_of_one_merge_at_a_time(
    threads: ThreadPoolExecutor,
    seed: int,
    each: int,
    threshold: float,
    seen: list[list[int]],
    limits: dict[str, int],
    batch: int,
) -> None:
    """By rounds, by the matrix of each connected part, by that of all."""
    vectors = people(6, each, seed)
    frames = seen[: len(vectors)]
    with patch.multiple(linkage, **limits), patch.multiple(chain, FEWEST=2, BATCH=batch):
        labels = average_linkage(vectors, threshold, frames, threads).tolist()
    expected = one_merge_at_a_time(vectors, threshold, frames)
    assert as_sets(labels) == sorted(expected, key=min)
    assert list(dict.fromkeys(labels)) == list(range(len(expected)))


def test_blocks_of_rows_give_what_one_block_gives(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, alone = people(40, 5, seed=3), [[]] * 200
    whole = average_linkage(vectors, 0.35, alone, threads)
    assert whole.max() + 1 == 40
    monkeypatch.setattr(linkage, "ROWS", 7)
    assert (average_linkage(vectors, 0.35, alone, threads) == whole).all()


@pytest.mark.parametrize(
    "limits", [{"MAX_PAIRS": 0}, {"MAX_PAIRS": 300}, {"MAX_ROUND": 0}, {"MAX_ROUND": 300}], ids=str
)
def test_more_pairs_than_are_kept_give_the_same(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int]
) -> None:
    vectors = people(40, 5, seed=3)
    frames = [[n % 50] for n in range(200)]
    whole = average_linkage(vectors, 0.35, frames, threads)
    for name, most in limits.items():
        monkeypatch.setattr(linkage, name, most)
    monkeypatch.setattr(linkage, "ROWS", 32)
    monkeypatch.setattr(chain, "FEWEST", 8)
    assert (average_linkage(vectors, 0.35, frames, threads) == whole).all()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    seen=st.lists(st.lists(st.integers(0, 8), max_size=3), min_size=30, max_size=30),
)
def test_around_a_good_picture_the_clusters_are_the_same(
    threads: ThreadPoolExecutor, seed: int, seen: list[list[int]]
) -> None:
    """Everyone's nearest is one of the first two: one merge a round, so the matrix takes over."""
    random = np.random.default_rng(seed)
    spread = np.array([0.1, 0.1, *random.uniform(0.5, 1.5, 28)])[:, None]
    centres = np.repeat(random.standard_normal((2, 64)), [15, 15], axis=0)[np.argsort(range(30))]
    centres[[0, 1]] = centres[[0, 29]]
    found = centres + spread * random.standard_normal((30, 64))
    vectors = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
    labels = average_linkage(vectors, 0.35, seen, threads).tolist()
    assert as_sets(labels) == sorted(one_merge_at_a_time(vectors, 0.35, seen), key=min)


def test_two_of_one_frame_are_two_people_however_alike(threads: ThreadPoolExecutor) -> None:
    twice = np.repeat(people(1, 1, seed=0), 4, axis=0)
    labels = average_linkage(twice, 0.3, [[1], [1], [2], [2]], threads)
    assert labels[0] != labels[1]
    assert labels[2] != labels[3]
    assert labels.max() == 1


def test_equal_vectors_are_one_cluster(threads: ThreadPoolExecutor) -> None:
    same = np.repeat(people(1, 1, seed=0), 300, axis=0)
    assert (average_linkage(same, 0.999, [[]] * 300, threads) == 0).all()


def test_the_work_ends_where_its_caller_has_gone(threads: ThreadPoolExecutor) -> None:
    def gone() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        average_linkage(people(3, 3, seed=0), 0.3, [[]] * 9, threads, gone)


def test_who_are_all_alike_are_one_unless_a_frame_shows_two(threads: ThreadPoolExecutor) -> None:
    vectors = people(1, 12, 0, noise=0.3)
    alone = [[number] for number in range(12)]
    with patch.object(linkage, "Clusters", None):
        assert average_linkage(vectors, 0.7, alone, threads).tolist() == [0] * 12
    labels = average_linkage(vectors, 0.7, [[3], *alone[1:]], threads)
    assert labels[0] != labels[3]
    assert labels.max() == 1
