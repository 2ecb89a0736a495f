"""Faces whose places a caller knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .blob import Image
from .boxes import Boxes, iou
from .detections import DetectedFace, Detections

MIN_OVERLAP = 0.4
"""Intersection over union from which a face that was found is the one in a given box; the detector
itself takes two boxes of more for one face (NMS)."""


class KnownFace(NamedTuple):
    """Where a face is, in pixels: its landmarks (float32 [5, 2]), or else the box (float32 [4]) in
    which the detector has to find them."""

    landmarks: NDArray[np.float32] | None = None
    bbox: NDArray[np.float32] | None = None


def unseen(known: Sequence[KnownFace], found: Detections) -> list[Boxes]:
    """The given boxes, float32 [4], in which no face was found."""
    return [
        face.bbox
        for face in known
        if face.bbox is not None and iou(face.bbox, found.bboxes).max(initial=0) < MIN_OVERLAP
    ]


def locate(
    known: Sequence[KnownFace],
    image: Image,
    found: Sequence[DetectedFace],
    closer: Sequence[DetectedFace] = (),
) -> list[DetectedFace]:
    """The known faces in an image (uint8 [height, width, 3]), in their order. Those of which only
    the box is known are taken from `found`, or else from `closer`, the faces that looks at their
    surroundings have shown.

    Landmarks, box and score are zeros, which cannot be aligned, where no face is found in a box, or
    the middle of given landmarks is outside the image.
    """
    places = [locate_one(face, image, found) for face in known]
    return [
        locate_one(face, image, closer) if face.bbox is not None and not place.score else place
        for face, place in zip(known, places, strict=True)
    ]


def locate_one(known: KnownFace, image: Image, found: Sequence[DetectedFace]) -> DetectedFace:
    """`locate` for one face, among `found` alone."""
    nowhere = DetectedFace(image, np.zeros(4, np.float32), 0.0, np.zeros((5, 2), np.float32))
    if known.landmarks is not None:
        low, high = known.landmarks.min(axis=0), known.landmarks.max(axis=0)
        size = np.array(image.shape[1::-1])
        middle = known.landmarks.mean(axis=0)
        if (middle < 0).any() or (middle > size).any():
            return nowhere
        return DetectedFace(image, np.concatenate([low, high]), 1.0, known.landmarks, known=True)
    if known.bbox is None:
        return nowhere
    overlaps = iou(known.bbox, np.array([face.bbox for face in found]).reshape(-1, 4))
    if overlaps.max(initial=0) < MIN_OVERLAP:
        return nowhere
    return found[int(overlaps.argmax())]
