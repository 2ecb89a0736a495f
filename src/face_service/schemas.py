"""What goes over the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from face_service.face_engine import Options
from face_service.serving.comparison import Verdict
from face_service.vision.quality import Reason
from face_service.vision.scrfd import MIN_SCORE

EmbeddingFormat = Literal["float", "base64", "none"]


class DetectOptions(BaseModel):
    """Options of one request; the same names as query parameters and as JSON fields."""

    model_config = ConfigDict(extra="forbid")

    min_score: float = Field(MIN_SCORE, ge=0, le=1, description="Least detection score.")
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

    def for_engine(self) -> Options:
        """The part of the options that decides what is computed."""
        return Options(
            min_score=self.min_score,
            max_faces=self.max_faces,
            min_face_size=self.min_face_size,
            embeddings=self.embedding_format != "none",
            attributes=self.attributes,
            quality=self.quality,
        )


class CompareOptions(DetectOptions):
    """Options of POST /compare, for both files."""

    embedding_format: EmbeddingFormat = Field(
        "none",
        description="`float`: an array; `base64`: little-endian float32; `none`: not returned.",
    )

    def for_engine(self) -> Options:
        """Embeddings and quality are what the answer is made of, returned or not."""
        return replace(super().for_engine(), embeddings=True, quality=True)


class EmbeddingRequest(DetectOptions):
    """Body of POST /extract-embedding."""

    image_base64: str = Field(
        description="The image, as plain base64 or as a data: URL.",
        examples=["/9j/4AAQSkZJRgABAQEAYABgAAD..."],
    )


class PoseOut(BaseModel):
    """Where a head is turned, in degrees; all 0 looks into the camera."""

    yaw: float = Field(description="Above 0: towards the right edge of the picture.")
    pitch: float = Field(description="Above 0: up.")
    roll: float = Field(description="Above 0: tilted clockwise.")


class QualityOut(BaseModel):
    """What can be told of a face without knowing whose it is."""

    score: float = Field(
        ge=0, le=1, description="The worst of the signals; each is 0.5 at its limit."
    )
    size: float = Field(ge=0, description="Shorter side of the box inside the image, in pixels.")
    sharpness: float = Field(ge=0, description="Fine detail, in percent of the brightness.")
    brightness: float = Field(ge=0, le=1, description="Mean brightness of the face.")
    visible: float = Field(ge=0, le=1, description="Share of the box that is inside the image.")
    pose: PoseOut


Point = Annotated[list[float], Field(min_length=2, max_length=2)]


class FaceOut(BaseModel):
    """One face, in pixels of the image after its EXIF rotation."""

    bbox: Annotated[list[float], Field(min_length=4, max_length=4)] = Field(
        description="[x1, y1, x2, y2], clipped to the image.",
        examples=[[123.4, 56.7, 234.5, 167.8]],
    )
    embedding: list[float] | str | None = Field(
        description="Unit vector; an array, base64 of little-endian float32, or null."
    )
    det_score: float = Field(ge=0, le=1, description="Detection confidence.", examples=[0.9987])
    age: int | None = Field(description="Estimated age in years.", examples=[28])
    gender: Literal["M", "F"] | None = Field(description="Estimated gender.", examples=["M"])
    landmarks: list[Point] | None = Field(
        description="Left eye, right eye, nose, mouth left, mouth right, as seen in the picture."
    )
    quality: QualityOut | None = Field(
        description="Null if not asked for, or if `error` says why there is none."
    )
    usable: bool | None = Field(
        description="Whether it is fit to be stored; null if quality was not asked for."
    )
    reasons: list[Reason] | None = Field(
        description="Why it is not; null if quality was not asked for."
    )
    error: str | None = Field(description="Why this face has no embedding, where it has none.")


class ModelUsed(BaseModel):
    """What made the embeddings; those of two different ones must never be compared."""

    pack: str = Field(examples=["buffalo_l"])
    recogniser: str = Field(description="SHA-256 of the recogniser's file.")
    precision: str = Field(examples=["fp32"])


FacesOmitted = Annotated[
    int,
    Field(
        ge=0,
        description="How many more faces pass the filters than MAX_FACES lets the answer have; "
        "those that the option max_faces leaves out do not count.",
        examples=[0],
    ),
]


class DetectResponse(BaseModel):
    """Every face of an image, by descending score."""

    faces: list[FaceOut]
    faces_omitted: FacesOmitted
    processing_time_ms: float = Field(examples=[45.23])
    image_width: int = Field(examples=[1920])
    image_height: int = Field(examples=[1080])
    model: ModelUsed
    request_id: str


class ComparedImage(BaseModel):
    """One of the two images, its faces by descending score."""

    faces: list[FaceOut]
    faces_omitted: FacesOmitted
    image_width: int
    image_height: int


class ComparedPair(BaseModel):
    """A face of `a` and a face of `b`, by their places in `faces`."""

    a: int
    b: int
    similarity: float = Field(description="Cosine of the two embeddings, -1 to 1.")
    same_person: bool | None = Field(
        description="Whether it reaches the threshold; null if the pack has none."
    )
    reliable: bool = Field(description="False where either face is not usable.")


class ThresholdOut(BaseModel):
    """From which similarity on two faces are taken for one person."""

    similarity: float | None = Field(description="Null where none was measured for the pack.")
    false_match_rate: float | None = Field(
        description="Share of pairs of two people that reach it, 0 to 1; null: not known."
    )
    measured_on: str | None


class CompareResponse(BaseModel):
    """Who of one image is who of the other."""

    a: ComparedImage
    b: ComparedImage
    pairs: list[ComparedPair] = Field(description="By descending similarity, at most 1,000.")
    best: ComparedPair | None = Field(description="The first of the pairs.")
    verdict: Verdict
    detail: str = Field(description="The verdict as a sentence for a person.")
    threshold: ThresholdOut
    processing_time_ms: float
    model: ModelUsed
    request_id: str


class FileResult(BaseModel):
    """One file of a batch: its faces, or its error."""

    file: str | None = Field(description="The name it was sent under.", examples=["frame-17.jpg"])
    status: int = Field(description="The status this file alone would have had.", examples=[200])
    faces: list[FaceOut]
    faces_omitted: FacesOmitted
    image_width: int | None
    image_height: int | None
    error: ErrorResponse | None


class BatchResponse(BaseModel):
    """One result per file, in the order of the files."""

    results: list[FileResult]
    processing_time_ms: float
    model: ModelUsed
    request_id: str


class ErrorResponse(BaseModel):
    """The one shape of every error."""

    detail: str = Field(examples=["Invalid image format. Supported: JPEG, PNG, WebP, BMP, TIFF"])
    code: str = Field(examples=["invalid_image"])
    request_id: str


class ProcessorOut(BaseModel):
    """The processor, and what its instruction sets mean for precision."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    class_name: str = Field(
        description="One word for processors that compute alike.",
        examples=["avx512-vnni-bf16", "avx2", "neon-dotprod"],
    )
    instruction_sets: list[str] = Field(
        description="Those that decide how networks are computed, as Linux calls them; empty "
        "where the system does not list them."
    )
    precision: dict[str, str] = Field(
        description="How bf16 and int8 are computed; empty where that is not known.",
        examples=[{"bf16": "not here", "int8": "exact"}],
    )


class RuntimeOut(BaseModel):
    """What computes, and where each node of each network really runs."""

    asked: list[str] = Field(description="What ONNX_PROVIDERS says.")
    offered: list[str] = Field(description="What the installed ONNX Runtime was built with.")
    taken: list[str] = Field(description="What computes, best first.")
    placement: dict[str, dict[str, int]] = Field(
        description="By network and provider: how many nodes ONNX Runtime gave it.",
        examples=[{"det_10g.onnx": {"CUDAExecutionProvider": 151, "CPUExecutionProvider": 4}}],
    )
    warnings: list[str] = Field(
        description="What is not as it was asked for, or as it should be, though it computes: two "
        "builds of ONNX Runtime at once, a DEVICE_ID that has no effect."
    )
    processor: ProcessorOut


class StatusResponse(BaseModel):
    """One word, for orchestrators."""

    status: Literal["alive", "healthy", "starting", "recovering", "failed", "draining"]


class HealthResponse(BaseModel):
    """Whether faces can be had here, and what would compute them."""

    status: Literal["healthy", "starting", "recovering", "failed", "draining"]
    version: str
    model: str
    onnx_providers: list[str]
    embedding_dimension: int | None
    detail: str | None = Field(description="What went wrong, where something did.")
    uptime_seconds: float
    threads: int | None = Field(description="Intra-op threads of ONNX Runtime.")
    recogniser: str | None = Field(description="SHA-256 of the recogniser's file.")
    precision: str | None
    progress: str | None = Field(
        description="While starting: what is compiled, and how many of how many.",
        examples=["compiling det_10g.onnx 1×3×640×640, 3 of 8"],
    )
    fallback: str | None = Field(
        description="Why the provider that was asked for does not compute, where it does not."
    )
    runtime: RuntimeOut | None


class ModelFileOut(BaseModel):
    """One network of a pack."""

    role: str
    file: str
    sha256: str
    licence: str


class PackOut(BaseModel):
    """A model pack."""

    name: str
    licence: str
    embedding_dimension: int
    same_person_threshold: float | None = Field(
        description="Cosine similarity from which two faces are taken for one person."
    )
    threshold_measured_on: str | None = Field(
        description="Null where the threshold is usual guidance that nobody has measured."
    )
    false_match_rate: float | None = Field(
        description="Share of pairs of two people that reach the threshold; null: not known."
    )
    files: list[ModelFileOut]


class LoadedPackOut(PackOut):
    """The pack that answers requests."""

    precision: str
    onnx_providers: list[str]
    fallback: str | None
    runtime: RuntimeOut


class ModelsResponse(BaseModel):
    """The pack that is loaded (null until it is) and those known by name."""

    loaded: LoadedPackOut | None
    known: list[PackOut]


MAX_ERRORS = 10
MAX_NAME = 100
"""Characters of a name."""


def explain(errors: Sequence[Any], skip: int = 0) -> str:
    """pydantic's errors in words: where, and what is wrong there.

    `skip`: leading parts of the place that a caller does not know, as `query` or `body`. What was
    sent does not come back whole: names are cut at MAX_NAME, errors at MAX_ERRORS.
    """
    sentences = [_sentence(error, skip) for error in errors[:MAX_ERRORS]]
    if len(errors) > MAX_ERRORS:
        sentences.append(f"and {len(errors) - MAX_ERRORS} more")
    return "; ".join(sentences)


def _sentence(error: Any, skip: int) -> str:
    where = ".".join(str(part)[:MAX_NAME] for part in error["loc"][skip:])
    message = "is not a known option" if error["type"] == "extra_forbidden" else error["msg"]
    return f"{where}: {message}" if where else str(message)
