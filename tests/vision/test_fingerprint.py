"""The fingerprint of a space: the same for what is near, another for anything else."""

from __future__ import annotations

import numpy as np
import pytest

from face_service.vision.fingerprint import (
    BITS,
    MOST_DIFFERENT,
    fingerprint,
    planes,
    share_different,
)


def vectors(count: int, dimension: int = 512, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def moved(rows: np.ndarray, cosine: float) -> np.ndarray:
    """Rows that have this cosine to those given."""
    other = vectors(len(rows), rows.shape[1], seed=1)
    other -= (other * rows).sum(axis=1, keepdims=True) * rows
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    return (cosine * rows + np.sqrt(1 - cosine**2) * other).astype(np.float32)


def test_the_planes_are_the_same_for_ever() -> None:
    assert planes(512)[:2, :6].tolist() == [[-1, 1, 1, -1, 1, -1], [1, 1, 1, -1, -1, 1]]
    assert planes(130).shape == (BITS, 130)
    assert set(np.unique(planes(512))) == {-1.0, 1.0}


@pytest.mark.parametrize(
    ("cosine", "low", "high"),
    [
        (1 - 1e-9, 0.0, 0.001),  # rounding on another processor
        (0.9991, 0.004, MOST_DIFFERENT),  # bf16
        (0.965, 0.05, 0.12),  # int8
        (0.0, 0.45, 0.55),  # another network
    ],
)
def test_bits_follow_the_angle(cosine: float, low: float, high: float) -> None:
    rows = vectors(100)
    assert low <= share_different(fingerprint(rows), fingerprint(moved(rows, cosine))) <= high


def test_other_lengths_are_other_spaces() -> None:
    one = fingerprint(vectors(4))
    assert len(one) == 4 * BITS // 4
    assert share_different(one, one) == 0
    assert share_different(one, one[:16]) == 1
