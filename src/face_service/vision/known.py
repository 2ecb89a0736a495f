"""Faces whose places a caller knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .blob import Image
from .scrfd import DetectedFace

MIN_OVERLAP = 0.4
"""Intersection over union from which a face that was found is the one in a given box; the detector
itself takes two boxes of more for one face (NMS)."""


class KnownFace(NamedTuple):
    """Where a face is, in pixels: its landmarks (float32 [5, 2]), or else the box (float32 [4]) in
    which the detector has to find them."""

    landmarks: NDArray[np.float32] | None = None
    bbox: NDArray[np.float32] | None = None


def locate(
    known: Sequence[KnownFace], image: Image, found: Sequence[DetectedFace]
) -> list[DetectedFace]:
    """The known faces in an image (uint8 [height, width, 3]), in their order; those of which only
    the box is known are among the `found` ones.

    Landmarks are zeros, which cannot be aligned, where none is found, or the middle of the given
    ones is outside the image.
    """
    return [locate_one(face, image, found) for face in known]


def locate_one(known: KnownFace, image: Image, found: Sequence[DetectedFace]) -> DetectedFace:
    """The same for one face."""
    nowhere = DetectedFace(image, np.zeros(4, np.float32), 0.0, np.zeros((5, 2), np.float32))
    if known.landmarks is not None:
        low, high = known.landmarks.min(axis=0), known.landmarks.max(axis=0)
        size = np.array(image.shape[1::-1])
        middle = known.landmarks.mean(axis=0)
        if (middle < 0).any() or (middle > size).any():
            return nowhere
        return DetectedFace(image, np.concatenate([low, high]), 1.0, known.landmarks)
    if known.bbox is None:
        return nowhere
    box = known.bbox
    best = max(found, key=lambda face: overlap(face.bbox, box), default=nowhere)
    return best if overlap(best.bbox, box) >= MIN_OVERLAP else nowhere


def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes; 0 where neither has an area."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(sides.clip(0).prod())
    areas = float((a[2:] - a[:2]).clip(0).prod() + (b[2:] - b[:2]).clip(0).prod())
    return shared / (areas - shared) if areas > shared else 0.0
