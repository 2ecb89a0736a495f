"""Request and response of POST /embed."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from face_service.face_engine import Options
from face_service.schemas.errors import ErrorResponse
from face_service.schemas.results import Box, Coordinate, ModelUsed
from face_service.vision.known import KnownFace

XY = tuple[Coordinate, Coordinate]


MIN_SCORE = 0.2
"""Least detection score of a face in a box that the caller gives: lower than usual, because
somebody has seen a face there."""


class EmbedOptions(BaseModel):
    """Options of POST /embed; the same names as query parameters, form fields and JSON fields."""

    model_config = ConfigDict(extra="forbid")

    embedding_format: Literal["float", "base64"] = Field(
        "float", description="`float`: an array; `base64`: little-endian float32."
    )
    crops: bool = Field(
        False, description="Return the aligned crop that was embedded, as base64 of a JPEG."
    )

    def for_engine(self) -> Options:
        """The options that affect inference."""
        return Options(MIN_SCORE, attributes=False, quality=False, crops=self.crops)


class KnownFaceIn(BaseModel):
    """Where a face is, in pixels of the image after its EXIF rotation: `landmarks` or `bbox`."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    landmarks: tuple[XY, XY, XY, XY, XY] | None = Field(
        None, description="Left eye, right eye, nose, mouth left, mouth right, as /detect has them."
    )
    bbox: Box | None = Field(
        None, description="[x1, y1, x2, y2]; the detector finds the landmarks."
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.landmarks is None) == (self.bbox is None):
            raise ValueError("give landmarks or bbox, one of the two")
        return self

    def for_engine(self) -> KnownFace:
        """The same in float32."""
        if self.landmarks is not None:
            return KnownFace(landmarks=np.array(self.landmarks, np.float32))
        return KnownFace(bbox=np.array(self.bbox, np.float32))


class EmbedRequest(EmbedOptions):
    """Body of POST /embed in JSON: `crops_base64`, or else `image_base64` and `faces`."""

    crops_base64: list[str] | None = Field(
        None, min_length=1, description="Aligned crops, 112×112, as base64 or data: URLs."
    )
    image_base64: str | None = Field(None, description="An image, as base64 or a data: URL.")
    faces: list[KnownFaceIn] | None = Field(
        None, min_length=1, description="Where the faces of the image are."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        of_image = {self.image_base64 is None, self.faces is None}
        if len(of_image) > 1 or (self.crops_base64 is None) == (self.image_base64 is None):
            raise ValueError("give crops_base64, or else image_base64 and faces")
        return self


class EmbeddedFace(BaseModel):
    """The embedding of one crop or known face, or its error."""

    file: str | None = Field(description="The file name in the form.", examples=["face-17.jpg"])
    status: int = Field(description="The status this face alone would have had.", examples=[200])
    embedding: list[float] | str | None = Field(
        description="Unit vector: an array, or base64 of little-endian float32; null: see `error`."
    )
    crop: str | None = Field(
        description="The aligned crop, as base64 of a JPEG; null if not asked for."
    )
    error: ErrorResponse | None


class EmbedResponse(BaseModel):
    """One result for each crop or known face, in their order."""

    results: list[EmbeddedFace]
    processing_time_ms: float
    model: ModelUsed
    request_id: str
