"""Request and response of POST /group."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from face_service.schemas.results import Box, ModelUsed

LATE = 1e9
"""Most seconds that a time may be from 0."""
Similarity = Annotated[float, Field(ge=-1, le=1)]


class SeenFace(BaseModel):
    """Where and when a face was seen, and how good it is; each may be left out."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    time: Annotated[float, Field(ge=-LATE, le=LATE)] | None = Field(
        None, description="Seconds within the source. Faces without a time are not tracked."
    )
    bbox: Box | None = Field(None, description="[x1, y1, x2, y2], in pixels of the frame.")
    quality: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="quality.score of /detect."
    )
    source: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="Which video the face is from; one and the same where it is left out."
    )


class FaceToGroup(SeenFace):
    """A face with its embedding."""

    embedding: str | list[float] = Field(
        description="Base64 of little-endian float32, or an array; of the loaded pack's dimension. "
        "It need not have the norm 1."
    )


class GroupingOptions(BaseModel):
    """Options of POST /group; the same names as query parameters, form fields and JSON fields."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    group_similarity: Similarity | None = Field(
        None,
        description="Least mean cosine of the tracks of two groups that become one; by default the "
        "pack's at a false-match rate of 0.0001.",
    )
    track_similarity: Similarity | None = Field(
        None,
        description="Least cosine of a face to its track where their boxes overlap; elsewhere "
        "group_similarity. By default the pack's at a false-match rate of 0.01.",
    )
    max_gap: float = Field(
        2.5, ge=0, le=LATE, description="Most seconds from a face of a track to the next."
    )
    representatives: int = Field(5, ge=1, le=50, description="Most representatives of a group.")
    embedding_format: Literal["none", "base64"] = Field(
        "none",
        description="How mean embeddings of tracks and groups are written. `base64`: little-endian "
        "float32. `none`: null.",
    )


class GroupRequest(GroupingOptions):
    """Body of POST /group in JSON."""

    faces: list[FaceToGroup] = Field(min_length=1)


class TrackOut(BaseModel):
    """Faces of consecutive frames of one source that are one person's."""

    faces: list[int] = Field(description="Places in the request, from 0, by time.")
    group: int = Field(description="Place in `groups`.")
    source: str | None
    start: float | None = Field(description="Time of the first face, in seconds.")
    end: float | None = Field(description="Time of the last face, in seconds.")
    best: int = Field(
        description="The face of the best quality; of equals the one nearest to the mean."
    )
    embedding: str | None = Field(
        description="Mean of the faces' embeddings, of norm 1, as base64; null if not asked for."
    )


class GroupOut(BaseModel):
    """Tracks that are taken for one person's."""

    faces: list[int] = Field(description="Places in the request, ascending.")
    tracks: list[int] = Field(description="Places in `tracks`, ascending.")
    representatives: list[int] = Field(
        description="The best face, then faces that differ from those before them."
    )
    embedding: str | None = Field(
        description="Mean of the tracks' embeddings, of norm 1, as base64; null if not asked for."
    )


class GroupThresholds(BaseModel):
    """The similarities that were applied."""

    group_similarity: float
    track_similarity: float


class GroupResponse(BaseModel):
    """Every face is in one track, and every track in one group."""

    tracks: list[TrackOut] = Field(description="In the order of their first faces.")
    groups: list[GroupOut] = Field(description="Those with most faces first.")
    track_labels: list[int] = Field(description="The track of each face of the request.")
    group_labels: list[int] = Field(description="The group of each face of the request.")
    thresholds: GroupThresholds
    processing_time_ms: float
    model: ModelUsed = Field(description="The loaded model, whose embeddings they are taken for.")
    request_id: str
