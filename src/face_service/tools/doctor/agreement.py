"""Whether a provider's results agree with the CPU's, and whether embeddings tell faces apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Face = Mapping[str, Any]
"""`bbox`: x1, y1, x2, y2 in pixels; `score`; `embedding`: a unit vector, or None."""

CLEAR_SCORE = 0.6
"""Faces of this score or more are not borderline: provider and CPU must both find them."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Largest allowed difference of box sides in pixels and of scores; smallest allowed cosine of
    embeddings."""

    box: float
    score: float
    cosine: float


FULL = Tolerance(box=1.0, score=0.01, cosine=0.999)
HALF = Tolerance(box=5.0, score=0.05, cosine=0.98)
"""For fp32 and int8; for fp16 and bf16. Ten times what was measured or more: 1 - cosine was 1e-5 at
most with OpenVINO in fp32, 1e-3 in bf16 (docs/decisions/0011-precision.md); fp16 is more precise
than that."""

GAP = 0.2
"""Least difference of the two cosines of a `SanityCheck` that tells faces apart. On `child.PICTURE`
two packs have 0.58 and 0.68; with pixels that are normalised wrongly it is 0.003 or less
(docs/decisions/0021-the-doctor.md)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """found, expected: number of faces of the provider and of the CPU. box (pixels), score: the
    largest differences; cosine: the smallest. None where there is nothing to compare. within: all
    are within the tolerance and no clear face is missing."""

    found: int
    expected: int
    box: float | None
    score: float | None
    cosine: float | None
    within: bool


@dataclass(frozen=True, slots=True)
class SanityCheck:
    """least_same: the smallest cosine of a face and its mirror image. most_other: the largest of
    two faces of the picture. None where there is nothing to compare."""

    least_same: float | None
    most_other: float | None

    @property
    def tells_apart(self) -> bool:
        """Whether every face is clearly more like its mirror image than two faces are alike; True
        where there is nothing to compare."""
        if self.least_same is None or self.most_other is None:
            return True
        return self.least_same - self.most_other > GAP


def compare(faces: Sequence[Face], reference: Sequence[Face], precision: str) -> Agreement:
    """Compare the faces that a provider found with those of the CPU, the reference.

    precision: of the provider, which decides the tolerance: FULL for fp32 and int8, else HALF.
    """
    allowed = FULL if precision in ("fp32", "int8") else HALF
    pairs = matched(faces, reference)
    box = max((max_box_difference(one, other) for one, other in pairs), default=None)
    score = max((abs(one["score"] - other["score"]) for one, other in pairs), default=None)
    cosines = [c for one, other in pairs if (c := cosine(one, other)) is not None]
    alone = [face for face in faces if not any(face is one for one, _ in pairs)]
    alone += [face for face in reference if not any(face is other for _, other in pairs)]
    return Agreement(
        found=len(faces),
        expected=len(reference),
        box=box,
        score=score,
        cosine=min(cosines, default=None),
        within=all(face["score"] < CLEAR_SCORE for face in alone)
        and (box is None or box <= allowed.box)
        and (score is None or score <= allowed.score)
        and all(c >= allowed.cosine for c in cosines),
    )


def sense(faces: Sequence[Face], mirrored: Sequence[Face], width: int) -> SanityCheck:
    """Whether embeddings are plausible, judged without a reference: a face and its mirror image
    should be alike, two faces of a picture should not.

    mirrored: the faces of the picture's mirror image, in that one's coordinates. width: of both, in
    pixels.
    """
    turned = [{**face, "bbox": turned_back(face["bbox"], width)} for face in mirrored]
    same = [c for pair in matched(faces, turned) if (c := cosine(*pair)) is not None]
    others = [
        c
        for place, one in enumerate(faces)
        for other in faces[place + 1 :]
        if (c := cosine(one, other)) is not None
    ]
    return SanityCheck(min(same, default=None), max(others, default=None))


def turned_back(bbox: Sequence[float], width: int) -> list[float]:
    """A box of the mirror image in the coordinates of the picture."""
    x1, y1, x2, y2 = bbox
    return [width - x2, y1, width - x1, y2]


def matched(faces: Sequence[Face], others: Sequence[Face]) -> list[tuple[Face, Face]]:
    """Pairs of faces at the same place: none of x1, y1, x2 and y2 differs by more than half the
    shorter side of the second's box."""
    pairs = []
    for face in faces:
        nearest = min(others, key=lambda other: max_box_difference(face, other), default=None)
        if nearest and max_box_difference(face, nearest) <= shorter_side(nearest) / 2:
            pairs.append((face, nearest))
    return pairs


def max_box_difference(one: Face, other: Face) -> float:
    """The largest difference of x1, y1, x2 or y2 of two boxes, in pixels."""
    sides = zip(one["bbox"], other["bbox"], strict=True)
    return max(float(abs(a - b)) for a, b in sides)


def shorter_side(face: Face) -> float:
    """The shorter side of a face's box, in pixels."""
    x1, y1, x2, y2 = face["bbox"]
    return float(min(x2 - x1, y2 - y1))


def cosine(one: Face, other: Face) -> float | None:
    """The cosine of the embeddings of two faces; None where one has none."""
    a, b = one["embedding"], other["embedding"]
    if a is None or b is None:
        return None
    return float(sum(x * y for x, y in zip(a, b, strict=True)))
