"""Thresholds of a pack, in the responses of /compare and /models."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, Field

from face_service.thresholds import OperatingPoints, Threshold


class ThresholdOut(BaseModel):
    """The similarity at and above which two faces count as the same person."""

    similarity: float | None = Field(description="Null if none was measured for the pack.")
    false_match_rate: float | None = Field(
        description="Share of pairs of different people that reach it, 0 to 1; null: unknown."
    )
    measured_on: str | None

    @classmethod
    def of(cls, threshold: Threshold | None) -> Self:
        """That of a pack; all null where it was not measured."""
        if threshold is None or threshold.measured_on is None:
            return cls(similarity=None, false_match_rate=None, measured_on=None)
        return cls(
            similarity=threshold.similarity,
            false_match_rate=threshold.false_match_rate,
            measured_on=threshold.measured_on,
        )


def threshold_fields(
    threshold: Threshold | None, operating_points: OperatingPoints | None
) -> dict[str, Any]:
    """The fields of a PackOut that say from which similarity on two faces are one person."""
    return {
        "threshold": ThresholdOut.of(threshold),
        "operating_points": operating_points,
        "same_person_threshold": threshold and threshold.similarity,
        "threshold_measured_on": threshold and threshold.measured_on,
        "false_match_rate": threshold and threshold.false_match_rate,
    }
