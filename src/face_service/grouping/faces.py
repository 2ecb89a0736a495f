"""Faces to be grouped: embeddings, and what is known of where and when they were seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""float32 [n, dimension], rows of norm 1."""


@dataclass(frozen=True, slots=True)
class Faces:
    """`n` faces in the order of the caller.

    embeddings: float32 [n, dimension], norm 1. times: float64 [n], seconds within the source, NaN
    where unknown. boxes: float32 [n, 4], x1, y1, x2, y2, NaN where unknown. quality: float32 [n],
    0 to 1, NaN where unknown. sources: int64 [n], faces of one video have one number.
    """

    embeddings: Vectors
    times: NDArray[np.float64]
    boxes: NDArray[np.float32]
    quality: NDArray[np.float32]
    sources: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.embeddings)


def mean_of(vectors: Vectors) -> Vectors:
    """The mean of one or more rows, float32 [dimension], of norm 1; the first row where they
    cancel out."""
    if len(vectors) == 1:
        return np.asarray(vectors[0])
    mean = vectors.mean(axis=0)
    norm = np.linalg.norm(mean)
    return np.asarray(mean / norm if norm > 0 else vectors[0], np.float32)
