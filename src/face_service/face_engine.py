"""FaceEngine: from pixels to faces."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from itertools import chain, islice
from typing import TypeVar, cast

import numpy as np

from face_service.engine_info import EngineInfo
from face_service.faces import DEFAULTS as DEFAULTS
from face_service.faces import Embedding as Embedding
from face_service.faces import Face as Face
from face_service.faces import Options as Options
from face_service.faces import PreparedImage as PreparedImage
from face_service.faces import closeness, preprocess
from face_service.observability.timing import StageTimes
from face_service.runtime.network import Network
from face_service.runtime.parallel import in_parallel
from face_service.runtime.placement import Placement
from face_service.runtime.policy import MAX_BATCH, MAX_FACES
from face_service.runtime.providers import max_batch_images
from face_service.vision.alignment import ARCFACE_SIZE, ARCFACE_TEMPLATE, align
from face_service.vision.arcface import ArcFace
from face_service.vision.assessment import assess_face, usable_box
from face_service.vision.attributes import AttributeReader
from face_service.vision.blob import Image
from face_service.vision.canvas import Size
from face_service.vision.closer import FurtherLooks, Timed
from face_service.vision.crops import encode_crop
from face_service.vision.detections import DetectedFace, Detections, merge, suppress
from face_service.vision.detector import MIN_SCORE, Detector, DetectorPreprocessor
from face_service.vision.filtering import Found, select
from face_service.vision.gate import Gate, detect
from face_service.vision.known import locate, unseen
from face_service.vision.parts import without_parts
from face_service.vision.quality import QualityLimits
from face_service.vision.verifier import FaceVerifier

T = TypeVar("T")


class FaceEngine:
    """Finds, embeds and describes faces. To be used by one thread at a time.

    Work is done in pieces, so that memory does not depend on the number of faces and the caller can
    run something else in between, or stop: `detect` and `describe` are generators that pause
    between two networks, and raise what `Network.run` raises. `max_batch_images`: images that are
    worth computing together. `images_per_run`: most images in one run of the detector. `closeup`: a
    detector of close faces, for a graph that takes one size alone. `piece`: most faces to give to
    `describe` at once. `max_faces`: most faces of an image. `gate`: of the detector, None where
    there is none.
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
        closeup: Detector | None = None,
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
        self._closeup = closeup

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
        """When a network last finished a run, on time.monotonic(); 0 before. For any thread."""
        return max(network.last_run for network in self._networks)

    def placement(self) -> dict[str, Placement]:
        """By file of a network: how many of its nodes ran on which provider."""
        return {network.name: network.placement for network in self._networks}

    @property
    def maps_weights(self) -> bool:
        """Whether the weights are in memory once for all engines: another one takes little more."""
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
        gate = self.gate if prepared.known is None else None  # the caller knows of a face
        if prepared.options.det_size not in (None, self.preprocessor.side):
            gate = None  # its limit was found on canvases of another size
        found, verdict = yield from detect(self._detector, gate, inputs, min_score, timed)
        chosen = yield from self._look_further(found, prepared, timed)
        return chosen._replace(verdict=verdict)

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
            merged = [suppress(merge(list(islice(passes, len(image.inputs))))) for image in images]
        chosen = []
        for each, image in zip(merged, images, strict=True):
            chosen.append(
                (yield from self._look_further(each, image, partial(times.measure, "detect")))
            )
        return chosen

    def _look_further(
        self, found: Detections, prepared: PreparedImage, timed: Timed
    ) -> Generator[None, None, Found]:
        """What was found in an image as a whole, and by further looks that its options ask for."""
        options, image = prepared.options, prepared.image
        looks = FurtherLooks(
            self._detector,
            self.preprocessor.for_side(options.det_size),
            self._closeup,
            image,
            self._detector.least(options.min_score),
            lambda faces: usable_box(image, faces, self._limits, self.info.alignment, self.piece),
            timed,
            self.images_per_run,
        )
        if prepared.known is not None:
            near = yield from looks.near(unseen(prepared.known, found))
            shown = (self._select(each, prepared).faces for each in (found, near))
            return Found(locate(prepared.known, image, *shown), 0)
        wanted = closeness(options, self.preprocessor)
        found, coverage = yield from looks.run(found, wanted)
        return self._select(found, prepared)._replace(coverage=coverage)

    def _select(self, detections: Detections, prepared: PreparedImage) -> Found:
        image, options = prepared.image, prepared.options
        smallest, wanted = options.min_face_size, options.max_faces
        found = select(
            without_parts(detections), image, smallest, wanted, self.max_faces, options.order
        )
        faces = [face._replace(quantisation=prepared.quantisation) for face in found.faces]
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
            alignment = self.info.alignment
            aligned = [align(face.image, face.landmarks, alignment) for face in faces]
            crops = [each and each.crop for each in aligned]
        with times.measure("quality"):
            qualities = [
                assess_face(each, face, self._limits, sure) if each and options.quality else None
                for each, face, sure in zip(aligned, faces, confidences, strict=True)
            ]
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
                rotation=face.angle,
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
        """The faces of an image (uint8 [height, width, 3], BGR) that pass the filters of `options`,
        in their `order`, at most `max_faces`."""
        return self.predict(preprocess(image, options, self.preprocessor), StageTimes())

    def warm_up(self) -> None:
        """Run every session that has not run yet, and on every canvas and batch whose first run
        takes longer than the next, so that the first request is as fast as the tenth."""
        *narrower, widest = sorted({n for network in self._networks for n in network.widths})
        new = {n for network in self._networks for n in network.new_widths}
        for threads in (n for n in narrower if n in new):
            self.limit_threads(threads)
            detect = partial(self._warm_up_detector, self.preprocessor.canvases[-1], passes=1)
            in_parallel([detect, partial(self._warm_up_face_networks, 1)])
        self.limit_threads(widest)
        if widest in new:
            self.self_test()
        if all(network.policy.kind == "dynamic" for network in self._networks):
            return  # one shape is as good as another
        sizes = [self.preprocessor.canvases, *self.preprocessor.others.values()]
        for size in dict.fromkeys(chain.from_iterable(sizes)):
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
        for detector in filter(None, (self._detector, self._closeup)):
            for each in detector.preprocess(image)[:passes]:
                detector.candidates_together([each] * images, [MIN_SCORE] * images)

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
