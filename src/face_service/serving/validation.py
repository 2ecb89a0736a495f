"""Validation of faces before they are returned: finite numbers, unit embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from face_service.errors import InferenceFailed
from face_service.face_engine import Face

NORM_TOLERANCE = 1e-3
"""Most that the norm of an embedding may differ from 1. Rounding alone makes less than 1e-6 in a
float32 vector of 512."""


def validate(faces: Sequence[Face]) -> None:
    """Raise InferenceFailed unless every face is valid.

    Boxes and landmarks are finite, scores from 0 to 1, embeddings finite and of norm 1.
    """
    for face in faces:
        if fault := fault_of(face):
            raise InferenceFailed(f"Inference gave a face with {fault}")


def fault_of(face: Face) -> str | None:
    """What is wrong with a face; None if nothing is. NaN passes no comparison."""
    if not np.isfinite(face.bbox).all():
        return "an impossible box"
    if not np.isfinite(face.landmarks).all():
        return "impossible landmarks"
    if not 0 <= face.score <= 1:
        return "an impossible score"
    embedding = face.embedding
    if embedding is not None and not abs(np.linalg.norm(embedding) - 1) <= NORM_TOLERANCE:
        return "an embedding that is no unit vector"
    return None
