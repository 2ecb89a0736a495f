"""The fingerprint of an engine's embedding space: what its recogniser makes of bundled photos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from face_service.face_engine import FaceEngine, Options, finish
from face_service.observability.timing import StageTimes
from face_service.vision.detections import DetectedFace
from face_service.vision.fingerprint import fingerprint
from face_service.vision.image import decode

BUNDLED = Path(__file__).parents[1] / "tools"
EMBED = Options(attributes=False, quality=False)


class KnownPhoto(NamedTuple):
    """A bundled photo in the public domain, and landmarks of faces on it: of each five (x, y) in
    whole pixels, in the order of `Detections`. So nothing depends on a detector."""

    path: Path
    landmarks: tuple[tuple[tuple[int, int], ...], ...]


PHOTOS = (
    KnownPhoto(
        BUNDLED / "quantization" / "astronaut.jpg",
        (((204, 101), (248, 103), (224, 128), (201, 138), (247, 141)),),
    ),
    KnownPhoto(
        BUNDLED / "doctor" / "faces.jpg",
        (
            ((50, 191), (81, 189), (66, 205), (56, 223), (78, 221)),
            ((321, 174), (349, 174), (337, 191), (325, 203), (344, 204)),
            ((517, 181), (545, 180), (534, 196), (521, 210), (544, 209)),
        ),
    ),
)
"""The first is in colour: networks that are given red for blue have another fingerprint."""

# Fingerprints of this process by the recogniser's SHA-256, alignment, precision and providers.
_known: dict[tuple[str, ...], str] = {}


def known_faces() -> list[DetectedFace]:
    """The faces of PHOTOS."""
    faces = []
    for photo in PHOTOS:
        image = decode(photo.path.read_bytes(), 10**7)
        for points in photo.landmarks:
            landmarks = np.array(points, np.float32)
            box = np.concatenate([landmarks.min(axis=0), landmarks.max(axis=0)])
            faces.append(DetectedFace(image, box, 1.0, landmarks, known=True))
    return faces


def space_fingerprint(engine: FaceEngine) -> str:
    """The fingerprint of the engine's embedding space: BITS / 4 hexadecimal digits for each of the
    faces of PHOTOS."""
    described = finish(engine.describe(known_faces(), EMBED, StageTimes()))
    return fingerprint([face.embedding for face in described if face.embedding is not None])


def add_fingerprint(engine: FaceEngine) -> None:
    """Put the fingerprint into the engine's `info`. It is computed once a process for each
    recogniser, alignment, precision and list of providers."""
    info = engine.info
    key = (info.recogniser_sha256, info.alignment, info.precision, *info.providers)
    if key not in _known:
        _known[key] = space_fingerprint(engine)
    engine.info = replace(info, fingerprint=_known[key])
