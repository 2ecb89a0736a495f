"""FaceEngine: the one way an image takes, from pixels to faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from face_service.runtime.network import Network
from face_service.runtime.placement import Placement
from face_service.runtime.providers import images_per_turn
from face_service.stages import StageTimes
from face_service.vision.alignment import ARCFACE_SIZE, ARCFACE_TEMPLATE, align_face
from face_service.vision.arcface import ArcFace
from face_service.vision.attributes import AttributeReader, Attributes, Gender
from face_service.vision.blob import Image
from face_service.vision.canvas import Size
from face_service.vision.quality import Quality, QualityLimits, assess
from face_service.vision.scrfd import MIN_SCORE, NO_DETECTIONS, Detections, Scrfd, View

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
    quality: bool = True


DEFAULTS = Options()


@dataclass(frozen=True, slots=True)
class Face:
    """One face, in pixels of the image.

    bbox float32 [4]: x1, y1, x2, y2, not clipped. landmarks float32 [5, 2]: left eye, right
    eye, nose, mouth left, mouth right, as seen in the picture. embedding float32
    [dimension] of norm 1; None if it was not asked for, or if `error` says why there is none.
    quality: None if it was not asked for, or if there is an `error`.
    """

    bbox: NDArray[np.float32]
    score: float
    landmarks: NDArray[np.float32]
    embedding: Embedding | None
    age: int | None
    gender: Gender | None
    quality: Quality | None = None
    error: str | None = None

    @property
    def usable(self) -> bool | None:
        """Whether it is fit to be stored or compared; None if quality was not asked for."""
        if self.error is not None:
            return False
        return None if self.quality is None else not self.quality.reasons


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
    threshold_measured_on is None where nobody measured same_person_threshold. At it, a share
    of false_match_rate (0..1, None: not known) of pairs of two people pass for one.
    providers: those that compute; asked: what ONNX_PROVIDERS says; offered: what this ONNX Runtime
    was built with. fallback: why the best of `asked` does not compute, where it does not.
    warnings: what is not as it was asked for, or as it should be, though it computes.
    placement: how many nodes of each network run on which provider.
    """

    pack: str
    licence: str
    files: tuple[NetworkFile, ...]
    recogniser_sha256: str
    dimension: int
    precision: str
    same_person_threshold: float | None
    threshold_measured_on: str | None
    false_match_rate: float | None
    providers: tuple[str, ...]
    threads: int
    asked: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    fallback: str | None = None
    warnings: tuple[str, ...] = ()
    placement: Mapping[str, Placement] = field(default_factory=dict)


class Job(NamedTuple):
    """An image, what the detector will look at, and what is wanted of it."""

    image: Image
    views: list[View]
    options: Options


class FaceEngine:
    """Finds, embeds and describes faces. Knows neither HTTP nor threads: `prepare` may run
    anywhere, `analyse` on one thread at a time."""

    def __init__(
        self,
        info: EngineInfo,
        detector: Scrfd,
        recogniser: ArcFace,
        attributes: AttributeReader | None,
        networks: Sequence[Network],
        limits: QualityLimits,
    ) -> None:
        self.info = info
        self.images_per_turn = images_per_turn(info.providers)
        self._detector = detector
        self._recogniser = recogniser
        self._attributes = attributes
        self._networks = networks
        self._limits = limits

    def last_progress(self) -> float:
        """When a network last finished a run, on time.monotonic(). For any thread."""
        return max(network.last_run for network in self._networks)

    def placement(self) -> dict[str, Placement]:
        """By file of a network: how many of its nodes ran on which provider."""
        return {network.name: network.placement for network in self._networks}

    def release(self) -> None:
        """Let go of the networks and the memory they hold. Nothing may be analysed any more."""
        for network in self._networks:
            network.release()

    def prepare(self, image: Image, options: Options) -> Job:
        """Shrink an image (uint8 [height, width, 3], BGR) to what the detector looks at."""
        return Job(image, self._detector.prepare(image), options)

    def analyse(self, jobs: Sequence[Job], times: StageTimes) -> list[list[Face]]:
        """Every face of each image, by descending score; one batch for the faces of all."""
        with times.measure("detect"):
            found = [self._detect(job) for job in jobs]
        with times.measure("align"):
            crops = [
                [align_face(job.image, landmarks) for landmarks in faces.landmarks]
                for job, faces in zip(jobs, found, strict=True)
            ]
        with times.measure("quality"):
            qualities = [
                self._assess(job, faces, cut)
                for job, faces, cut in zip(jobs, found, crops, strict=True)
            ]
        with times.measure("embed"):
            embeddings = self._embed(jobs, crops)
        with times.measure("attributes"):
            attributes = self._describe(jobs, found)
        return [
            assemble(*parts)
            for parts in zip(found, crops, qualities, embeddings, attributes, strict=True)
        ]

    def faces_of(self, image: Image, options: Options = DEFAULTS) -> list[Face]:
        """`prepare` and `analyse` for a single image."""
        return self.analyse([self.prepare(image, options)], StageTimes())[0]

    def _detect(self, job: Job) -> Detections:
        return select(
            self._detector.detect(job.views, job.options.min_score), job.image, job.options
        )

    def _assess(
        self, job: Job, faces: Detections, crops: Sequence[Image | None]
    ) -> list[Quality | None]:
        """The quality of each face; None where there is no crop or nobody asked."""
        return [
            assess(crop, bbox, float(score), landmarks, job.image.shape, self._limits)
            if crop is not None and job.options.quality
            else None
            for crop, bbox, score, landmarks in zip(
                crops, faces.bboxes, faces.scores, faces.landmarks, strict=True
            )
        ]

    def _embed(
        self, jobs: Sequence[Job], crops: Sequence[Sequence[Image | None]]
    ) -> list[list[Embedding | None]]:
        """One embedding per crop; None where there is no crop or none was asked for."""
        wanted = [
            [crop if job.options.embeddings else None for crop in faces]
            for job, faces in zip(jobs, crops, strict=True)
        ]
        batch = [crop for faces in wanted for crop in faces if crop is not None]
        rows = iter(self._recogniser.embed(batch) if batch else ())
        return [[None if crop is None else next(rows) for crop in faces] for faces in wanted]

    def _describe(
        self, jobs: Sequence[Job], found: Sequence[Detections]
    ) -> list[list[Attributes | None]]:
        """Age and gender per face; None where they were not asked for or cannot be had."""
        asked = [
            (job.image, faces if job.options.attributes else NO_DETECTIONS)
            for job, faces in zip(jobs, found, strict=True)
        ]
        some = any(len(faces) for _, faces in asked)
        answers = iter(self._attributes.read(asked) if self._attributes and some else ())
        return [
            [next(answers, None) if job.options.attributes else None for _ in faces.scores]
            for job, faces in zip(jobs, found, strict=True)
        ]

    def warm_up(self) -> None:
        """Run every network on all it may be given at once, so that the first request is as fast
        as the tenth, and memory is taken now and not in the middle of the night."""
        for size in self._detector.canvases:
            self._see_nothing(size)
        for faces in sorted({n for network in self._networks for n in network.warm_batches}):
            self._describe_nobody(faces)

    def self_test(self) -> None:
        """Run every network once, on nothing. Raises what they raise."""
        self._see_nothing(self._detector.canvases[-1])
        self._describe_nobody(1)

    def _see_nothing(self, size: Size) -> None:
        image = np.zeros((size.height, size.width, 3), np.uint8)
        self._detector.detect(self._detector.prepare(image))

    def _describe_nobody(self, faces: int) -> None:
        crop = np.zeros((ARCFACE_SIZE, ARCFACE_SIZE, 3), np.uint8)
        self._recogniser.embed([crop] * faces)
        if self._attributes:
            side = ARCFACE_SIZE
            found = Detections(
                bboxes=np.array([[0, 0, side, side]] * faces, np.float32),
                scores=np.ones(faces, np.float32),
                landmarks=np.stack([ARCFACE_TEMPLATE] * faces),
            )
            self._attributes.read([(crop, found)])


def assemble(
    found: Detections,
    crops: Sequence[Image | None],
    qualities: Sequence[Quality | None],
    embeddings: Sequence[Embedding | None],
    attributes: Sequence[Attributes | None],
) -> list[Face]:
    """What each network said of the faces of one image, face by face."""
    return [
        Face(
            bbox=found.bboxes[i],
            score=float(found.scores[i]),
            landmarks=found.landmarks[i],
            embedding=embeddings[i],
            age=described.age if described else None,
            gender=described.gender if described else None,
            quality=qualities[i],
            error="landmarks are degenerate" if crops[i] is None else None,
        )
        for i, described in enumerate(attributes)
    ]


def select(found: Detections, image: Image, options: Options) -> Detections:
    """The faces that pass the size filter, then the best `max_faces` of them.

    A box of which nothing lies inside the image passes none: the detector saw it on the black
    of its canvas.
    """
    boxes = clip(found.bboxes, image.shape[1], image.shape[0])
    sides = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    fitting = (sides > 0) & (sides >= options.min_face_size)
    return found.take(np.flatnonzero(fitting)[: options.max_faces])


def clip(bboxes: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Boxes float32 [..., 4] cut off at the edges of an image of `width`×`height`."""
    return np.clip(bboxes, 0, np.array([width, height, width, height], np.float32))
