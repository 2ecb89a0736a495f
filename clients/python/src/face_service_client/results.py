"""What the service answers, as dataclasses. Pixels are those of the image after its EXIF rotation.

Embeddings have the `embedding_dimension` of the loaded pack, 512 for those of the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import ErrorAnswer

Floats: TypeAlias = npt.NDArray[np.float32]
Reason: TypeAlias = Literal[
    "too_small",
    "blurred",
    "extreme_pose",
    "too_dark",
    "too_bright",
    "cut_off",
    "low_confidence",
    "interlaced",
    "compressed",
    "not_a_face",
]
Verdict: TypeAlias = Literal[
    "same_person", "different_people", "too_poor", "no_face", "no_threshold"
]


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a head is turned, in degrees; with all 0 it faces the camera.

    Above 0: yaw towards the right edge of the picture, pitch up, roll clockwise.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Measures of how well a face can be recognised.

    score: 0 to 1, the worst of the measures, each 0.5 at its limit. size: shorter side of the box
    inside the image, in pixels. sharpness: fine detail in percent of the brightness, from 0.
    brightness: mean of the face, 0 to 1. visible: share of the box inside the image, 0 to 1.
    combing: how much more neighbouring rows differ than in a picture of one moment (interlaced
    video), in percent of the contrast, from 0. compression: mean quantisation step of the JPEG's
    lower frequencies, divided by the number of 8×8 blocks in a square of the box's shorter side;
    None if the image was no JPEG.
    """

    score: float
    size: float
    sharpness: float
    brightness: float
    visible: float
    combing: float
    compression: float | None
    pose: Pose


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face.

    bbox: float32 (4,), x1, y1, x2, y2 in pixels, clipped to the image. det_score: 0 to 1.
    embedding: float32 (dimension,) of norm 1; None if not asked for or if `error` says why. age:
    estimated, in years. landmarks: float32 (5, 2) in pixels: left eye, right eye, nose, mouth left,
    mouth right, as seen in the picture. usable: whether it is fit to be stored, reasons: why not.
    What was not asked for is None. crop: the aligned face, 112×112 pixels, as JPEG; `embed` takes
    it. error: why it has no embedding, quality and crop; else None. face_confidence: probability
    that it is a face, 0 to 1; None where the pack has no verifier. rotation: degrees clockwise, 0,
    90, 180 or 270, by which the image has to be turned to show the face upright.
    """

    bbox: Floats
    det_score: float
    embedding: Floats | None
    age: int | None
    gender: Literal["M", "F"] | None
    landmarks: Floats | None
    quality: Quality | None = None
    usable: bool | None = None
    reasons: tuple[Reason, ...] | None = None
    crop: bytes | None = None
    error: str | None = None
    face_confidence: float | None = None
    rotation: int = 0


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """What made the embeddings; never compare those of two different ones.

    recogniser: SHA-256 of its file. alignment: how faces were cut out, the service's ALIGNMENT.
    """

    pack: str
    recogniser: str
    precision: str
    alignment: str = "insightface"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How the faces of an image were looked for.

    det_size: side of the detector's canvas, in pixels. tiles: how many it was looked at in, beside
    the image as a whole. angles: degrees clockwise by which it was turned, 0 among them. The others
    are options as applied.
    """

    det_size: int
    detail: str
    tiles: int
    rotations: str
    angles: tuple[int, ...]
    order: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The faces of one image, in the order asked for, and its size in pixels.

    faces_omitted: how many more there were than the service's MAX_FACES lets an answer have.
    smallest_face_px: shorter side of the smallest face that may have been found, in pixels.
    """

    faces: tuple[Face, ...]
    image_width: int
    image_height: int
    faces_omitted: int = 0
    smallest_face_px: float | None = None
    detection: Coverage | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What all answers but those about the service have. stages: milliseconds by stage, as the
    service measured them; request_id: the id in its log."""

    processing_time_ms: float
    model: ModelUsed
    request_id: str
    stages: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Detection(Answered):
    """The faces of one image, in the order asked for, and its size in pixels.

    faces_omitted: how many more there were than the service's MAX_FACES lets an answer have.
    smallest_face_px: shorter side of the smallest face that may have been found, in pixels.
    """

    faces: tuple[Face, ...]
    image_width: int
    image_height: int
    faces_omitted: int = 0
    smallest_face_px: float | None = None
    detection: Coverage | None = None


@dataclass(frozen=True, slots=True)
class FileResult:
    """One file of a batch: its faces, or the error that it alone would have had.

    file: its name in the form. status: the HTTP status that it alone would have had. image_width,
    image_height: in pixels, None with an `error`. The rest is as in Detection.
    """

    file: str | None
    status: int
    faces: tuple[Face, ...]
    image_width: int | None
    image_height: int | None
    error: ErrorAnswer | None
    faces_omitted: int = 0
    smallest_face_px: float | None = None
    detection: Coverage | None = None


@dataclass(frozen=True, slots=True)
class Batch(Answered):
    """One result for each file, in their order."""

    results: tuple[FileResult, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Face `a` of the first image and face `b` of the second, by their index.

    similarity: cosine, -1 to 1. same_person: whether it reaches the threshold; None where the pack
    has none. reliable: False where either face is not usable.
    """

    a: int
    b: int
    similarity: float
    same_person: bool | None
    reliable: bool


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which similarity on two faces are taken for one person, and how often wrongly.

    similarity: cosine; None if nobody has measured it. false_match_rate: share of pairs of two
    people that reach it, 0 to 1; None: unknown. measured_on: the photos that it was measured on.
    """

    similarity: float | None
    false_match_rate: float | None
    measured_on: str | None


@dataclass(frozen=True, slots=True)
class Comparison(Answered):
    """Pairs of a face of image `a` and one of image `b`, most similar first, at most 1,000.

    best: the first of the pairs, None if there is none. detail: the verdict as a sentence.
    """

    a: Picture
    b: Picture
    pairs: tuple[Pair, ...]
    best: Pair | None
    verdict: Verdict
    detail: str
    threshold: Threshold


def similarity(a: Face | Floats, b: Face | Floats) -> float:
    """Cosine of two faces, -1 to 1: of embeddings of norm 1 that one and the same model has made.

    Raises ValueError for a face without an embedding, and for arrays of different lengths.
    """
    # Rounding makes the cosine of a face with itself 1.0000001.
    return float(np.clip(np.dot(_embedding(a), _embedding(b)), -1, 1))


def to_vector(face: Face | Floats) -> str:
    """An embedding as pgvector reads it, `[0.1,-0.2,…]`. Raises ValueError for a face without."""
    return f"[{','.join(map(repr, _embedding(face).tolist()))}]"


def from_vector(text: str) -> Floats:
    """A vector as pgvector writes it, as float32 (n,). Raises ValueError for any other text."""
    if not (text.startswith("[") and text.endswith("]")):
        raise ValueError(f"Not a vector: {text[:40]}")
    found = np.array([float(number) for number in text[1:-1].split(",")], np.float32)
    if not np.isfinite(found).all():
        raise ValueError(f"Not a vector: {text[:40]}")
    return found


def _embedding(face: Face | Floats) -> Floats:
    if not isinstance(face, Face):
        return face
    if face.embedding is None:
        raise ValueError(f"This face has no embedding: {face.error or 'it was not asked for'}")
    return face.embedding
