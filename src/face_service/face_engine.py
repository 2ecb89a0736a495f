"""FaceEngine: the one way an image takes, from pixels to faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from face_service.stages import StageTimes
from face_service.vision.alignment import ARCFACE_TEMPLATE, align_face
from face_service.vision.arcface import ArcFace
from face_service.vision.attributes import AttributeReader, Attributes, Gender
from face_service.vision.blob import Image
from face_service.vision.scrfd import MIN_SCORE, NO_DETECTIONS, Detections, Scrfd

Embedding = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller wants of an image. Filters act before embedding.

    min_score: least detection score, 0..1. max_faces: the best by score, None for all.
    min_face_size: least shorter side of the box inside the image, in pixels.
    """

    min_score: float = MIN_SCORE
    max_faces: int | None = None
    min_face_size: float = 0.0
    embeddings: bool = True
    attributes: bool = True


@dataclass(frozen=True, slots=True)
class Face:
    """One face, in pixels of the image.

    bbox float32 [4]: x1, y1, x2, y2, not clipped. landmarks float32 [5, 2]: left eye, right
    eye, nose, mouth left, mouth right, as seen in the picture. embedding float32
    [dimension] of norm 1; None if it was not asked for, or if `error` says why there is none.
    """

    bbox: NDArray[np.float32]
    score: float
    landmarks: NDArray[np.float32]
    embedding: Embedding | None
    age: int | None
    gender: Gender | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """A file an engine was made from."""

    role: str
    file: str
    sha256: str
    licence: str


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine is made of.

    Embeddings may be compared only where pack, recogniser and precision are the same.
    """

    pack: str
    licence: str
    files: tuple[NetworkFile, ...]
    recogniser_sha256: str
    dimension: int
    precision: str
    same_person_threshold: float | None
    threshold_measured_on: str | None
    providers: tuple[str, ...]
    threads: int


class FaceEngine:
    """Finds, embeds and describes faces. One thread at a time; knows neither HTTP nor threads."""

    def __init__(
        self,
        info: EngineInfo,
        detector: Scrfd,
        recogniser: ArcFace,
        attributes: AttributeReader | None,
    ) -> None:
        self.info = info
        self._detector = detector
        self._recogniser = recogniser
        self._attributes = attributes

    def analyse(self, image: Image, options: Options, times: StageTimes) -> list[Face]:
        """Every face of an image (uint8 [height, width, 3], BGR), by descending score."""
        with times.measure("detect"):
            found = select(self._detector.detect(image, options.min_score), image, options)
        with times.measure("align"):
            crops = [align_face(image, points) for points in found.landmarks]
        with times.measure("embed"):
            embeddings = self._embed(crops if options.embeddings else [None] * len(found))
        with times.measure("attributes"):
            attributes = self._describe(image, found if options.attributes else NO_DETECTIONS)
        return [
            Face(
                bbox=found.bboxes[i],
                score=float(found.scores[i]),
                landmarks=found.landmarks[i],
                embedding=embeddings[i],
                age=attributes[i].age if attributes else None,
                gender=attributes[i].gender if attributes else None,
                error="landmarks are degenerate" if crops[i] is None else None,
            )
            for i in range(len(found))
        ]

    def _embed(self, crops: Sequence[Image | None]) -> list[Embedding | None]:
        """One embedding per crop, all in one batch; None where there is no crop."""
        usable = [crop for crop in crops if crop is not None]
        rows = iter(self._recogniser.embed(usable) if usable else ())
        return [None if crop is None else next(rows) for crop in crops]

    def _describe(self, image: Image, faces: Detections) -> list[Attributes]:
        """Age and gender of each face; empty if there are no faces or no network for it."""
        return self._attributes.read(image, faces) if self._attributes and len(faces) else []

    def warm_up(self) -> None:
        """Run every network once, so that the first request is as fast as the tenth."""
        image = np.zeros((480, 640, 3), np.uint8)
        self._detector.detect(image)
        face = Detections(
            bboxes=np.array([[0, 0, 112, 112]], np.float32),
            scores=np.ones(1, np.float32),
            landmarks=ARCFACE_TEMPLATE[None],
        )
        self._embed([align_face(image, ARCFACE_TEMPLATE)])
        self._describe(image, face)


def select(found: Detections, image: Image, options: Options) -> Detections:
    """The faces that pass the size filter, then the best `max_faces` of them."""
    boxes = clip(found.bboxes, image.shape[1], image.shape[0])
    sides = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    return found.take(np.flatnonzero(sides >= options.min_face_size)[: options.max_faces])


def clip(bboxes: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Boxes float32 [..., 4] cut off at the edges of an image of `width`×`height`."""
    return np.clip(bboxes, 0, np.array([width, height, width, height], np.float32))
