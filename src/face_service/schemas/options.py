"""Options of requests, and bodies in JSON."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from face_service.face_engine import Options

EmbeddingFormat = Literal["float", "base64", "none"]
"""How embeddings are written in a response; see DetectOptions.embedding_format."""


class DetectOptions(BaseModel):
    """Options of one request; the same names as query parameters and as JSON fields."""

    model_config = ConfigDict(extra="forbid")

    min_score: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Least detection score; the detector's own if left out: 0.5, of YuNet 0.7.",
    )
    max_faces: int | None = Field(
        None, ge=1, description="Return the best this many by score; all if left out."
    )
    min_face_size: float = Field(
        0,
        ge=0,
        description="Least shorter side of a face's box inside the image, in pixels.",
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
