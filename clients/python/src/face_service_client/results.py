"""What the service answers, as dataclasses. Pixels are those of the image after its rotation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import ErrorAnswer

Floats: TypeAlias = npt.NDArray[np.float32]
Reason: TypeAlias = Literal[
    "too_small", "blurred", "extreme_pose", "too_dark", "too_bright", "cut_off", "low_confidence"
]
Verdict: TypeAlias = Literal[
    "same_person", "different_people", "too_poor", "no_face", "no_threshold"
]


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a head is turned, in degrees; all 0 looks into the camera.

    Above 0: yaw towards the right edge of the picture, pitch up, roll clockwise.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What can be told of a face without knowing whose it is.

    score: 0 to 1, the worst of the signals. size: shorter side of the box inside the image, in
    pixels. sharpness: 0 and more. brightness: 0 to 1. visible: share of the box inside the
    image, 0 to 1.
    """

    score: float
    size: float
    sharpness: float
    brightness: float
    visible: float
    pose: Pose


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face.

    bbox: float32 (4,), x1, y1, x2, y2 in pixels, clipped to the image. det_score: 0 to 1.
    embedding: float32 (512,) of length 1, None if not asked for or if `error` says why.
    landmarks: float32 (5, 2) in pixels: left eye, right eye, nose, mouth left, mouth right, as
    seen in the picture. usable: whether it is fit to be stored, reasons: why not. What was not
    asked for is None.
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
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """What made the embeddings; never compare those of two different ones.

    recogniser: SHA-256 of its file.
    """

    pack: str
    recogniser: str
    precision: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The faces of one image, best score first, and its size in pixels.

    faces_omitted: how many more there were than the service's MAX_FACES lets an answer have.
    """

    faces: tuple[Face, ...]
    image_width: int
    image_height: int
    faces_omitted: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """What every answer about images says. stages: milliseconds by stage."""

    processing_time_ms: float
    model: ModelUsed
    request_id: str
    stages: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Detection(Answered):
    """The faces of one image, best score first, and its size in pixels.

    faces_omitted: how many more there were than the service's MAX_FACES lets an answer have.
    """

    faces: tuple[Face, ...]
    image_width: int
    image_height: int
    faces_omitted: int = 0


@dataclass(frozen=True, slots=True)
class FileResult:
    """One file of a batch: its faces, or the error that it alone would have been.

    faces_omitted: how many more there were than the service's MAX_FACES lets an answer have.
    """

    file: str | None
    status: int
    faces: tuple[Face, ...]
    image_width: int | None
    image_height: int | None
    error: ErrorAnswer | None
    faces_omitted: int = 0


@dataclass(frozen=True, slots=True)
class Batch(Answered):
    """One result for each file, in their order."""

    results: tuple[FileResult, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Face `a` of the first image and face `b` of the second, by their index.

    similarity: cosine, -1 to 1. same_person: None where the pack has no threshold. reliable:
    False where either face is too poor to go by.
    """

    a: int
    b: int
    similarity: float
    same_person: bool | None
    reliable: bool


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which similarity on two faces are taken for one person, and how often wrongly."""

    similarity: float | None
    false_match_rate: float | None
    measured_on: str | None


@dataclass(frozen=True, slots=True)
class Comparison(Answered):
    """Who of image `a` is who of image `b`: every pair, most similar first."""

    a: Picture
    b: Picture
    pairs: tuple[Pair, ...]
    best: Pair | None
    verdict: Verdict
    detail: str
    threshold: Threshold


@dataclass(frozen=True, slots=True)
class Processor:
    """The processor. class_name: one word for processors that compute alike. instruction_sets:
    those that decide how networks are computed. precision: how bf16 and int8 are computed."""

    name: str
    class_name: str
    instruction_sets: tuple[str, ...]
    precision: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Runtime:
    """What computes: execution providers that were asked for, that ONNX Runtime was built with,
    and that compute, best first. placement: by network and provider, how many of its nodes run
    there. warnings: what is not as it should be, though it computes. processor: None from a
    service that does not name it."""

    asked: tuple[str, ...]
    offered: tuple[str, ...]
    taken: tuple[str, ...]
    placement: Mapping[str, Mapping[str, int]]
    warnings: tuple[str, ...] = ()
    processor: Processor | None = None


@dataclass(frozen=True, slots=True)
class PackFile:
    """One network of a pack."""

    role: str
    file: str
    sha256: str
    licence: str


@dataclass(frozen=True, slots=True)
class Pack:
    """A model pack; `precision` and all after it belong to the loaded one only.

    same_person_threshold: similarity from which two faces are taken for one person.
    false_match_rate: share of pairs of two people who reach it. None: not known.
    """

    name: str
    licence: str
    embedding_dimension: int
    same_person_threshold: float | None
    threshold_measured_on: str | None
    files: tuple[PackFile, ...]
    false_match_rate: float | None = None
    precision: str | None = None
    onnx_providers: tuple[str, ...] = ()
    fallback: str | None = None
    runtime: Runtime | None = None


@dataclass(frozen=True, slots=True)
class Models:
    """The pack that is loaded (None until it is) and those known by name."""

    loaded: Pack | None
    known: tuple[Pack, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether faces can be had, and what would compute them.

    status: `healthy`, or why not. detail: what went wrong. progress: what is done while it
    starts. fallback: why the provider that was asked for does not compute.
    """

    status: str
    version: str
    model: str
    onnx_providers: tuple[str, ...]
    embedding_dimension: int | None
    detail: str | None
    uptime_seconds: float
    threads: int | None
    recogniser: str | None
    precision: str | None
    progress: str | None = None
    fallback: str | None = None
    runtime: Runtime | None = None


def similarity(a: Face | Floats, b: Face | Floats) -> float:
    """Cosine of two faces, -1 to 1, of embeddings that one and the same model has made.

    Raises ValueError for a face without an embedding.
    """
    # Rounding makes the cosine of a face with itself 1.0000001.
    return float(np.clip(np.dot(_embedding(a), _embedding(b)), -1, 1))


def _embedding(face: Face | Floats) -> Floats:
    if not isinstance(face, Face):
        return face
    if face.embedding is None:
        raise ValueError(f"This face has no embedding: {face.error or 'it was not asked for'}")
    return face.embedding
