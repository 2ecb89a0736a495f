"""Parts of a face that were found as faces of their own: suppression leaves them, because their IoU
with the face is small."""

from __future__ import annotations

import numpy as np

from .boxes import Boxes, area, shared_area
from .detections import Detections
from .looks import Tile

SURE = 0.7
"""Detection score of a face that is there without doubt: QUALITY_MIN_DET_SCORE's default."""
INSIDE = 0.8
"""Share of the area of a box that lies in another, from which on it lies inside it."""
COMPARED = 512
"""Faces of an image that are compared with each other, the best. A `min_score` of 0 finds thousands
of boxes in any picture."""
SCORES_ALIKE = 0.1
"""By how much a part of a face may score better than the face."""


def without_parts(found: Detections) -> Detections:
    """Detections without those that are a part of another face: weak boxes that lie inside a larger
    one of about their score or a better; and boxes, however sure, of which one lies in another
    that was found with the picture turned otherwise, and scores better.

    A face of score SURE or more stays, whatever it lies in: it may be in front of a poster. But no
    face is found at two angles of the picture.
    """
    best = found.take(slice(COMPARED))
    boxes, scores = best.bboxes, best.scores
    parts = {int(i) for i in np.flatnonzero(scores < SURE) if is_part(boxes[i], scores[i], best)}
    if found.angles is not None:
        parts |= {i for i in range(len(best)) if shows_two_ways(i, best)}
    return without(found, parts)


def without_cut_parts(
    found: Detections, tile: Tile, others: Detections, width: int, height: int
) -> Detections:
    """What was found in a tile of a picture of `width`×`height`, without what it shows of a face
    that it cuts: boxes that lie inside a larger one among `others`, of about their score or a
    better, that reaches beyond the tile. Both in pixels of the picture.

    However sure the detector is of them: half a face, alone in a tile, looks like a face.
    """
    others = others.take(slice(COMPARED))
    low = np.array([tile.left, tile.top], np.float32)
    high = low + np.array([tile.width, tile.height], np.float32)
    before = (others.bboxes[:, :2] < low) & (low > 0)
    behind = (others.bboxes[:, 2:] > high) & (high < (width, height))
    reaching = others.take(np.flatnonzero((before | behind).any(axis=1)))
    if not len(reaching):
        return found
    compared = zip(found.bboxes[:COMPARED], found.scores[:COMPARED], strict=True)
    return without(found, {i for i, each in enumerate(compared) if is_part(*each, reaching)})


def is_part(box: Boxes, score: float, others: Detections) -> bool:
    """Whether a box lies inside a larger one of `others` that scores about as well, or better."""
    own = area(box)
    around = (area(others.bboxes) > own) & (others.scores >= score - SCORES_ALIKE)
    return bool((around & (shared_area(box, others.bboxes) >= INSIDE * own)).any())


def shows_two_ways(index: int, found: Detections) -> bool:
    """Whether one of the detections lies in a better one of another angle, or contains one."""
    boxes, turned = found.bboxes[:index], found.turned
    smaller = np.minimum(area(boxes), area(found.bboxes[index]))
    inside = shared_area(found.bboxes[index], boxes) >= INSIDE * smaller
    return bool((inside & (turned[:index] != turned[index])).any())


def without(found: Detections, indices: set[int]) -> Detections:
    """Detections but these."""
    return found.take(np.delete(np.arange(len(found)), sorted(indices))) if indices else found
