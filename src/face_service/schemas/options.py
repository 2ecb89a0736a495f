"""Options of requests for faces, and the JSON body of POST /extract-embedding."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from face_service.face_engine import Options
from face_service.vision.filtering import Order
from face_service.vision.looks import Detail
from face_service.vision.turning import Rotations

EmbeddingFormat = Literal["float", "base64", "none"]
"""How embeddings are written in a response; see DetectOptions.embedding_format."""


def as_word(value: object) -> object:
    """A number as the text it is in a query."""
    return str(value) if type(value) is int else value


class DetectOptions(BaseModel):
    """Options of one request; the same names as query parameters, form fields and JSON fields."""

    model_config = ConfigDict(extra="forbid")

    min_score: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Least detection score; if left out the detector's own: 0.5, or YuNet's 0.7.",
    )
    max_faces: int | None = Field(
        None, ge=1, description="Most faces returned, the first in `order`; all if left out."
    )
    order: Order = Field(
        "score",
        description="Which faces come first: `score`, the surest; `size`, the largest inside the "
        "image; `center`, those nearest to its middle.",
    )
    min_face_size: float = Field(
        0,
        ge=0,
        description="Least shorter side of a face's box inside the image, in pixels.",
    )
    det_size: int | None = Field(
        None,
        ge=64,
        le=2048,
        multiple_of=32,
        description="Side of the detector's canvas in pixels, as DET_SIZES allows; the service's "
        "DET_SIZE if left out.",
    )
    detail: Annotated[Detail, BeforeValidator(as_word)] | None = Field(
        None,
        description="How closely the image is looked at. `1`: as a whole. `2`, `3`: also in that "
        "many tiles along its longer side. `auto`: in as many tiles as small faces need, 20 at "
        "most. The service's DETAIL if left out.",
    )
    rotations: Rotations = Field(
        "none",
        description="Also look at the image turned by 90, 180 and 270 degrees. `auto`: where no "
        "face is usable and upright. `all`: always. `none`: never.",
    )
    embedding_format: EmbeddingFormat = Field(
        "float",
        description="`float`: an array; `base64`: little-endian float32; `none`: not computed.",
    )
    attributes: bool = Field(True, description="Estimate age and gender.")
    landmarks: bool = Field(True, description="Return the five landmarks.")
    quality: bool = Field(True, description="Say whether a face is fit to be stored, and why not.")
    crops: bool = Field(
        False, description="Return the aligned crop of each face, 112×112, as base64 of a JPEG."
    )

    def for_engine(self) -> Options:
        """The options that affect inference."""
        return Options(
            min_score=self.min_score,
            max_faces=self.max_faces,
            min_face_size=self.min_face_size,
            embeddings=self.embedding_format != "none",
            attributes=self.attributes,
            quality=self.quality,
            crops=self.crops,
            det_size=self.det_size,
            detail=self.detail,
            rotations=self.rotations,
            order=self.order,
        )


class CompareOptions(DetectOptions):
    """Options of POST /compare, for both files."""

    embedding_format: EmbeddingFormat = Field(
        "none",
        description="`float`: an array; `base64`: little-endian float32; `none`: not returned.",
    )

    def for_engine(self) -> Options:
        """The options that affect inference. Embeddings and quality are always computed, because
        the comparison needs them."""
        return replace(super().for_engine(), embeddings=True, quality=True)


class EmbeddingRequest(DetectOptions):
    """Body of POST /extract-embedding."""

    image_base64: str = Field(
        description="The image, as plain base64 or as a data: URL.",
        examples=["/9j/4AAQSkZJRgABAQEAYABgAAD..."],
    )
