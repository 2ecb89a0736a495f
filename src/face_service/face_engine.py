"""FaceEngine: from pixels to faces."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from face_service.engine_info import EngineInfo
from face_service.observability.timing import StageTimes
from face_service.runtime.network import Network
from face_service.runtime.placement import Placement
from face_service.runtime.policy import MAX_BATCH, MAX_FACES
from face_service.runtime.providers import max_batch_images
from face_service.vision.alignment import ARCFACE_SIZE, ARCFACE_TEMPLATE, align_face
from face_service.vision.arcface import ArcFace
from face_service.vision.attributes import AttributeReader, Gender
from face_service.vision.blob import Image
from face_service.vision.canvas import Size
from face_service.vision.crops import encode_crop
from face_service.vision.filtering import Found, select
from face_service.vision.gate import Gate, detect
from face_service.vision.known import KnownFace, locate
from face_service.vision.quality import Quality, QualityLimits, assess_faces
from face_service.vision.scrfd import (
    MIN_SCORE,
    DetectedFace,
    Detections,
    Detector,
    DetectorInput,
    DetectorPreprocessor,
    merge,
    suppress,
)
from face_service.vision.verifier import FaceVerifier

Embedding = NDArray[np.float32]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a request. Filters act before embedding.

    min_score: least detection score, 0..1, None for the detector's own. max_faces: the best by
    score, None for all. min_face_size: least shorter side of the box inside the image, pixels.
    """

    min_score: float | None = None
    max_faces: int | None = None
    min_face_size: float = 0.0
    embeddings: bool = True
    attributes: bool = True
    quality: bool = True
    crops: bool = False


DEFAULTS = Options()


@dataclass(frozen=True, slots=True)
class Face:
    """One face, in pixels of the image.

    bbox float32 [4]: x1, y1, x2, y2, not clipped. landmarks float32 [5, 2]: left eye, right
    eye, nose, mouth left, mouth right, as seen in the picture. embedding float32
    [dimension] of norm 1; None if it was not asked for, or if `error` says why there is none.
    quality: None likewise. crop: what was embedded, 112×112 pixels as JPEG; None likewise.
    confidence: that it is a face, 0..1; None where the pack has no verifier.
    """

    bbox: NDArray[np.float32]
    score: float
    landmarks: NDArray[np.float32]
    embedding: Embedding | None
    age: int | None
    gender: Gender | None
    quality: Quality | None = None
    error: str | None = None
    crop: bytes | None = None
    confidence: float | None = None

    @property
    def usable(self) -> bool | None:
        """Whether it is fit to be stored or compared; None if quality was not asked for."""
        if self.error is not None:
            return False
        return None if self.quality is None else not self.quality.reasons


class PreparedImage(NamedTuple):
    """An image (uint8 [height, width, 3], BGR), its detector inputs, and the options
    of its request. known: its faces, where they need not be found. quantisation: see
    `luminance_step`; None if it was no JPEG."""

    image: Image
    inputs: list[DetectorInput]
    options: Options
    known: Sequence[KnownFace] | None = None
    quantisation: float | None = None


class FaceEngine:
    """Finds, embeds and describes faces. To be used by one thread at a time.

    Work is done in pieces, so that memory does not depend on the number of faces and the caller can
    run something else in between, or stop: `detect` and `describe` are generators that pause
    between two networks. `max_batch_images`: images that are worth computing together.
    `images_per_run`: most images in one run of the detector.
    `piece`: faces that `describe` should be given at once. `max_faces`: most faces of an image.
    `gate`: of the detector, None where there is none.
    """

    def __init__(
        self,
        info: EngineInfo,
        detector: Detector,
        recogniser: ArcFace,
        attributes: AttributeReader | None,
        networks: Sequence[Network],
        limits: QualityLimits,
        verifier: FaceVerifier | None = None,
    ) -> None:
        self.info = info
        self.max_batch_images = max_batch_images(info.providers)
        self.images_per_run = detector.network.policy.batches[-1]
        self.piece = max(MAX_BATCH, *(network.policy.batches[-1] for network in networks))
        self.max_faces = MAX_FACES
        self.gate: Gate | None = None
        self._detector = detector
        self._recogniser = recogniser
        self._attributes = attributes
        self._verifier = verifier
        self._networks = networks
        self._limits = limits

    @property
    def preprocessor(self) -> DetectorPreprocessor:
        """What makes the detector's inputs; usable after `release` as well."""
        return self._detector.preprocessor

    @property
    def networks(self) -> Sequence[Network]:
        """Every network of the engine, the detector's first."""
        return self._networks

    def add_gate(self, gate: Gate) -> None:
        """Have a gate, which has run before, decide when the detector runs. For any thread."""
        self._networks = (*self._networks, gate.network)
        self.gate = gate

    def last_progress(self) -> float:
        """When a network last finished a run, on time.monotonic(). For any thread."""
        return max(network.last_run for network in self._networks)

    def placement(self) -> dict[str, Placement]:
        """By file of a network: how many of its nodes ran on which provider."""
        return {network.name: network.placement for network in self._networks}

    @property
    def maps_weights(self) -> bool:
        """Whether another engine of these networks needs little memory more."""
        return all(network.maps_weights for network in self._networks)

    def limit_threads(self, most: int) -> None:
        """Run every network on at most so many threads of the CPU from now on."""
        for network in self._networks:
            network.limit_threads(most)

    def release(self) -> None:
        """Release the networks and their memory. The engine must not be used afterwards."""
        for network in self._networks:
            network.release()

    def runs_per_piece(self, options: Options) -> int:
        """Steps of `describe`: one for each kind of network that it runs."""
        described = options.attributes and self._attributes is not None
        return max(1, (self._verifier is not None) + options.embeddings + described)

    def detect(self, prepared: PreparedImage, times: StageTimes) -> Generator[None, None, Found]:
        """The faces of an image that pass its filters, or those that are known (see `locate`).
        Pauses between two passes."""
        inputs, min_score = prepared.inputs, self._detector.least(prepared.options.min_score)
        timed = partial(times.measure, "detect")
        gate = self.gate if prepared.known is None else None  # there is a face, says the caller
        found, verdict = yield from detect(self._detector, gate, inputs, min_score, timed)
        return self._select(found, prepared)._replace(verdict=verdict)

    def detect_together(
        self, images: Sequence[PreparedImage], times: StageTimes
    ) -> Generator[None, None, list[Found]]:
        """`detect` for several images: their inputs of one canvas in one run, at most
        `images_per_run`. Pauses between two runs."""
        inputs = [each for image in images for each in image.inputs]
        asked = [image.options.min_score for image in images for _ in image.inputs]
        scores = list(map(self._detector.least, asked))
        found: dict[int, Detections] = {}
        for run in self._detector.runs(inputs):
            if found:
                yield
            with times.measure("detect"):
                candidates = self._detector.candidates_together(
                    [inputs[n] for n in run], [scores[n] for n in run]
                )
            found.update(zip(run, candidates, strict=True))
        passes = (found[n] for n in range(len(inputs)))
        with times.measure("detect"):
            merged = (merge(list(islice(passes, len(image.inputs)))) for image in images)
            return [
                self._select(suppress(each), image)
                for each, image in zip(merged, images, strict=True)
            ]

    def _select(self, detections: Detections, prepared: PreparedImage) -> Found:
        image, _, options, known, quantisation = prepared
        smallest, wanted = options.min_face_size, options.max_faces
        found = select(detections, image, smallest, wanted, self.max_faces)
        if known is not None:
            found = Found(locate(known, image, found.faces), 0)
        faces = [face._replace(quantisation=quantisation) for face in found.faces]
        return found._replace(faces=faces)

    def describe(
        self, faces: Sequence[DetectedFace], options: Options, times: StageTimes
    ) -> Generator[None, None, list[Face]]:
        """Verify, align, assess, embed and estimate, as `options` ask: at most `piece` faces, of
        one or several images. Pauses between two networks."""
        confidences: Sequence[float | None] = [None] * len(faces)
        if self._verifier and faces:
            with times.measure("verify"):
                confidences = self._verifier.confidences(faces)
            yield
        with times.measure("align"):
            crops = [align_face(face.image, face.landmarks) for face in faces]
        with times.measure("quality"):
            wanted_of = crops if options.quality else [None] * len(faces)
            qualities = assess_faces(wanted_of, faces, confidences, self._limits)
        with times.measure("embed"):
            wanted = [crop for crop in crops if crop is not None] if options.embeddings else []
            rows = iter(self._recogniser.embed(wanted) if wanted else ())
            embeddings = [next(rows, None) if crop is not None else None for crop in crops]
        reader = self._attributes if faces and options.attributes else None
        if wanted and reader:
            yield
        with times.measure("attributes"):
            attributes = reader.read(faces) if reader else [None] * len(faces)
        return [
            Face(
                bbox=face.bbox,
                score=face.score,
                landmarks=face.landmarks,
                embedding=embedding,
                age=described.age if described else None,
                gender=described.gender if described else None,
                quality=quality,
                error="landmarks are degenerate" if crop is None else None,
                crop=encode_crop(crop) if crop is not None and options.crops else None,
                confidence=confidence,
            )
            for face, crop, quality, embedding, described, confidence in zip(
                faces, crops, qualities, embeddings, attributes, confidences, strict=True
            )
        ]

    def predict(self, prepared: PreparedImage, times: StageTimes) -> list[Face]:
        """`detect` and `describe` for one image, without a pause."""
        faces = finish(self.detect(prepared, times)).faces
        pieces = (faces[i : i + self.piece] for i in range(0, len(faces), self.piece))
        return [
            face
            for piece in pieces
            for face in finish(self.describe(piece, prepared.options, times))
        ]

    def analyse_image(self, image: Image, options: Options = DEFAULTS) -> list[Face]:
        """Every face of an image (uint8 [height, width, 3], BGR), by descending score."""
        inputs = self.preprocessor.preprocess(image)
        return self.predict(PreparedImage(image, inputs, options), StageTimes())

    def warm_up(self) -> None:
        """Run every session that has not run yet, and on every canvas and batch whose first run
        takes longer than the next, so that the first request is as fast as the tenth."""
        *narrower, widest = sorted({n for network in self._networks for n in network.widths})
        new = {n for network in self._networks for n in network.new_widths}
        for threads in (n for n in narrower if n in new):
            self.limit_threads(threads)
            self._warm_up_detector(self.preprocessor.canvases[-1], passes=1)
            self._warm_up_face_networks(1)
        self.limit_threads(widest)
        if widest in new:
            self.self_test()
        if all(network.policy.kind == "dynamic" for network in self._networks):
            return  # one shape is as good as another
        for size in self.preprocessor.canvases:
            for images in self._detector.network.policy.batches:
                self._warm_up_detector(size, images)
        for faces in sorted({n for network in self._networks[1:] for n in network.policy.batches}):
            self._warm_up_face_networks(faces)

    def self_test(self) -> None:
        """Run every network once, on a black image. Raises what they raise."""
        self._warm_up_detector(self.preprocessor.canvases[-1])
        self._warm_up_face_networks(1)

    def _warm_up_detector(self, size: Size, images: int = 1, passes: int | None = None) -> None:
        image = np.zeros((size.height, size.width, 3), np.uint8)
        for each in self._detector.preprocess(image)[:passes]:
            self._detector.candidates_together([each] * images, [MIN_SCORE] * images)

    def _warm_up_face_networks(self, faces: int) -> None:
        crop = np.zeros((ARCFACE_SIZE, ARCFACE_SIZE, 3), np.uint8)
        box = np.array([0, 0, ARCFACE_SIZE, ARCFACE_SIZE], np.float32)
        found = [DetectedFace(crop, box, 1.0, ARCFACE_TEMPLATE)] * faces
        finish(self.describe(found, DEFAULTS, StageTimes()))


def finish(work: Generator[None, None, T]) -> T:
    """Run a generator to its end without a pause. Returns what it returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return cast(T, end.value)
