"""A detector and two recognisers that look at the same crops."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.frames import ROOT, SHARED
from benchmarks.studies.degrade import Photo, Spoilt
from benchmarks.studies.scenes import THREADS, detector
from face_service.packs.entries import Role
from face_service.packs.store import resolve
from face_service.runtime.network import load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.vision.alignment import Alignment, align
from face_service.vision.arcface import ArcFace
from face_service.vision.assessment import assess_face
from face_service.vision.blob import ARCFACE_NORMALIZATION, Image
from face_service.vision.canvas import allowed_canvases
from face_service.vision.detections import DetectedFace
from face_service.vision.detector import CLOSEUP
from face_service.vision.quality import Quality, QualityLimits

PHOTOS = SHARED / "faces/lfw"
THRESHOLDS = {"edgeface": 0.235, "starter": 0.275}
"""Similarity from which two faces are one person's: examples/edgeface/manifest.json, catalogue."""
FAR = 0.8
"""A face whose landmarks are further off than this, in distances of the eyes, is another one."""
LIMITS = QualityLimits()
ALIGNMENT: Alignment = "antialiased"
"""The service's default."""

Landmarks = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Seen:
    """A face as it was found: its quality, score and landmarks, its embeddings by recogniser."""

    quality: Quality
    det_score: float
    landmarks: Landmarks
    embeddings: dict[str, NDArray[np.float32]]

    @property
    def usable(self) -> bool:
        """Whether there is nothing against it."""
        return not self.quality.reasons

    def similarities(self, other: Seen) -> dict[str, float]:
        """Cosine with another face, by recogniser."""
        return {
            name: float(mine @ other.embeddings[name]) for name, mine in self.embeddings.items()
        }


class Eyes:
    """det_2.5g, and the recognisers of THRESHOLDS."""

    def __init__(self) -> None:
        self._find = detector("det_2.5g", allowed_canvases(640), CLOSEUP)
        model = resolve("starter", ROOT / "models").models[Role.RECOGNITION]
        edgeface = SHARED / "models/edgeface_xs.onnx"
        tasks = [NetworkSpec(edgeface, sha256=""), NetworkSpec(model.path, model.sha256)]
        networks = load_networks(tasks, (CPU,), RuntimeConfig(THREADS))
        self._recognisers = {
            "edgeface": ArcFace(networks[0], ARCFACE_NORMALIZATION),
            "starter": ArcFace(networks[1], model.normalization),
        }

    def photo(self, path: Path) -> tuple[Photo, Landmarks]:
        """A photo of one person, and the landmarks of the face nearest to its middle."""
        image = cv2.imread(str(path))
        found = self._find.detect(self._find.preprocess(image))
        middle = np.array(image.shape[1::-1]) / 2
        index = int(np.abs(found.landmarks.mean(axis=1) - middle).sum(axis=1).argmin())
        return Photo(image, found.bboxes[index]), found.landmarks[index]

    def look(
        self, image: Image, expected: NDArray[np.floating], quantisation: float | None = None
    ) -> Seen | None:
        """The face whose landmarks are nearest to `expected` [5, 2]; None if there is none.
        quantisation: of the JPEG that it was, see `luminance_step`."""
        found = self._find.detect(self._find.preprocess(image))
        if not len(found):
            return None
        off = np.linalg.norm(found.landmarks - expected, axis=2).mean(axis=1)
        index = int(off.argmin())
        landmarks, score = found.landmarks[index], float(found.scores[index])
        face = DetectedFace(image, found.bboxes[index], score, landmarks, quantisation)
        aligned = align(image, landmarks, ALIGNMENT)
        if aligned is None or off[index] > FAR * np.linalg.norm(expected[1] - expected[0]):
            return None
        return Seen(
            quality=assess_face(aligned, face, LIMITS),
            det_score=score,
            landmarks=landmarks,
            embeddings={
                name: one.embed([aligned.crop])[0] for name, one in self._recognisers.items()
            },
        )

    def look_at_spoilt(self, spoilt: Spoilt, landmarks: Landmarks) -> Seen | None:
        """The face that had `landmarks` before the photo was spoilt."""
        turn, shift = spoilt.matrix[:2, :2], spoilt.matrix[:2, 2]
        return self.look(spoilt.image, landmarks @ turn.T + shift)
