"""From which similarity on two faces are taken for one person: thresholds, and what they were
measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

GROUP_RATE, TRACK_RATE = 0.0001, 0.01
"""False-match rates at which groups and tracks are joined where nothing else is asked for. Two
groups of many are compared with each other many times; a face is compared with a track that was
there a moment ago. benchmarks/studies/grouping.py."""

Cosine = Annotated[float, Field(ge=-1, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Threshold:
    """The cosine from which two faces are taken for one person where nothing else is known.

    measured_on: None where it is usual guidance that was not measured. false_match_rate: share of
    pairs of two people, 0 to 1, that reach it; None where it is not known.
    """

    similarity: Cosine
    measured_on: str | None
    false_match_rate: Share | None = None


@dataclass(frozen=True, slots=True)
class VerificationPoint:
    """One face with one other ("are these two one person?"): `similarity` is reached by the share
    `false_match_rate` of the pairs of two people's faces, and by the share `true_match_rate` of
    the pairs of one person's."""

    false_match_rate: Share
    similarity: Cosine
    true_match_rate: Share


@dataclass(frozen=True, slots=True)
class IdentificationPoint:
    """One face with the references of many ("which of these is it?"): `similarity` to the nearest
    of `people` people is reached by the share `false_positive_rate` of strangers.

    measured: with that many real people; else extrapolated from fewer.
    """

    people: Annotated[int, Field(gt=0)]
    false_positive_rate: Share
    similarity: Cosine
    measured: bool


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """Similarities (cosines), and how often each is reached: rates are shares, 0 to 1."""

    measured_on: str
    verification: tuple[VerificationPoint, ...]
    identification: tuple[IdentificationPoint, ...]

    def similarity_at(self, false_match_rate: float) -> float | None:
        """The cosine of the verification point of exactly that rate; None where there is none."""
        return next(
            (
                point.similarity
                for point in self.verification
                if point.false_match_rate == false_match_rate
            ),
            None,
        )


def measured_similarity(threshold: Threshold | None) -> float | None:
    """The cosine of a threshold that was measured; None for usual guidance, and without one."""
    return threshold.similarity if threshold and threshold.measured_on else None


def similarity_at(
    false_match_rate: float, points: OperatingPoints | None, threshold: Threshold | None
) -> float | None:
    """The cosine at a rate by the operating points of a pack; by its threshold where it has no
    points. None where neither was measured."""
    if points:
        return points.similarity_at(false_match_rate)
    return measured_similarity(threshold)
