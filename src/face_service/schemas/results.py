"""Responses with faces: of /detect, /detect/batch, /extract-embedding and /compare."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from face_service.schemas.errors import ErrorResponse
from face_service.schemas.thresholds import ThresholdOut
from face_service.serving.comparison import Verdict
from face_service.vision.alignment import Alignment
from face_service.vision.filtering import Order
from face_service.vision.looks import Detail
from face_service.vision.quality import Reason
from face_service.vision.turning import Rotations


class PoseOut(BaseModel):
    """Rotation of the head, in degrees; all 0: facing the camera."""

    yaw: float = Field(description="Above 0: towards the right edge of the picture.")
    pitch: float = Field(description="Above 0: up.")
    roll: float = Field(description="Above 0: tilted clockwise.")


class QualityOut(BaseModel):
    """Measures of how well a face can be recognised."""

    score: float = Field(
        ge=0, le=1, description="The worst of the measures; each is 0.5 at its limit."
    )
    size: float = Field(ge=0, description="Shorter side of the box inside the image, in pixels.")
    sharpness: float = Field(ge=0, description="Fine detail, in percent of the brightness.")
    brightness: float = Field(ge=0, le=1, description="Mean brightness of the face.")
    visible: float = Field(ge=0, le=1, description="Share of the box that is inside the image.")
    combing: float = Field(
        ge=0,
        description="How much more neighbouring rows differ than in a picture of one moment, in "
        "percent of the contrast: interlaced video.",
    )
    compression: float | None = Field(
        ge=0,
        description="Mean quantisation step of the JPEG's lower frequencies, divided by the number "
        "of 8×8 blocks in a square of the box's shorter side; null if the image is no JPEG.",
    )
    pose: PoseOut


FAR = 1e6
"""Most pixels that a coordinate in a request may be from the origin."""
Coordinate = Annotated[float, Field(ge=-FAR, le=FAR)]
Box = tuple[Coordinate, Coordinate, Coordinate, Coordinate]
"""x1, y1, x2, y2 in a request, in pixels."""

Point = Annotated[list[float], Field(min_length=2, max_length=2)]
"""x and y, in pixels of the image after its EXIF rotation."""


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
    face_confidence: float | None = Field(
        ge=0,
        le=1,
        description="Probability of a face by the pack's verifier; null where it has none.",
    )
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
    crop: str | None = Field(
        description="The aligned face, 112×112 pixels, as base64 of a JPEG of quality 98; null if "
        "it was not asked for, or if `error` says why there is none. POST /embed takes it."
    )
    rotation: Literal[0, 90, 180, 270] = Field(
        description="Degrees clockwise by which the image has to be turned to show the face "
        "upright; above 0 only where `rotations` was asked for. `quality.pose` is that of the face "
        "turned so."
    )
    error: str | None = Field(description="Why this face has no embedding, where it has none.")


class ModelUsed(BaseModel):
    """The model that made the embeddings. Those of different models are not comparable."""

    pack: str = Field(examples=["buffalo_l"])
    recogniser: str = Field(description="SHA-256 of the recogniser's file.")
    precision: str = Field(examples=["fp32"])
    alignment: Alignment = Field(description="ALIGNMENT: how faces were cut out.")


FacesOmitted = Annotated[
    int,
    Field(
        ge=0,
        description="Number of faces that pass the filters and are left out because of MAX_FACES; "
        "those that the option max_faces leaves out are not counted.",
        examples=[0],
    ),
]


class DetectionOut(BaseModel):
    """How the faces of an image were looked for: its options as they were applied."""

    det_size: int = Field(description="Side of the detector's canvas, in pixels.", examples=[640])
    detail: Detail
    tiles: int = Field(
        ge=0, description="Number of tiles that were looked at besides the whole image."
    )
    rotations: Rotations
    angles: list[Literal[0, 90, 180, 270]] = Field(
        description="Degrees clockwise by which the image was turned for a look, 0 included."
    )
    order: Order


SmallestFace = Annotated[
    float,
    Field(
        gt=0,
        description="Shorter side, in pixels of the image, of the smallest face that may have been "
        "found: of smaller ones most are lost.",
        examples=[30.0],
    ),
]


class DetectResponse(BaseModel):
    """Every face of an image, in the order asked for."""

    faces: list[FaceOut]
    faces_omitted: FacesOmitted
    smallest_face_px: SmallestFace
    detection: DetectionOut
    processing_time_ms: float = Field(examples=[45.23])
    image_width: int = Field(examples=[1920])
    image_height: int = Field(examples=[1080])
    model: ModelUsed
    request_id: str


class ComparedImage(BaseModel):
    """One of the two images, its faces in the order asked for."""

    faces: list[FaceOut]
    faces_omitted: FacesOmitted
    smallest_face_px: SmallestFace
    detection: DetectionOut
    image_width: int
    image_height: int


class ComparedPair(BaseModel):
    """A face of `a` and a face of `b`, as indices into their `faces`, from 0."""

    a: int
    b: int
    similarity: float = Field(description="Cosine of the two embeddings, -1 to 1.")
    same_person: bool | None = Field(
        description="Whether it reaches the threshold; null if the pack has none."
    )
    reliable: bool = Field(description="False where either face is not usable.")


class CompareResponse(BaseModel):
    """Similarities of all pairs of a face of `a` and a face of `b`, and a verdict."""

    a: ComparedImage
    b: ComparedImage
    pairs: list[ComparedPair] = Field(description="By descending similarity, at most 1,000.")
    best: ComparedPair | None = Field(description="The first of the pairs.")
    verdict: Verdict
    detail: str = Field(description="The verdict as a sentence.")
    threshold: ThresholdOut
    processing_time_ms: float
    model: ModelUsed
    request_id: str


class FileResult(BaseModel):
    """One file of a batch: its faces, or its error."""

    file: str | None = Field(description="The file name in the form.", examples=["frame-17.jpg"])
    status: int = Field(description="The status this file alone would have had.", examples=[200])
    faces: list[FaceOut]
    faces_omitted: FacesOmitted
    smallest_face_px: SmallestFace | None
    detection: DetectionOut | None
    image_width: int | None
    image_height: int | None
    error: ErrorResponse | None


class BatchResponse(BaseModel):
    """One result per file, in the order of the files."""

    results: list[FileResult]
    processing_time_ms: float
    model: ModelUsed
    request_id: str
