"""What is asked of an image, and what is known of it and of its faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from face_service.vision.attributes import Gender
from face_service.vision.blob import Image
from face_service.vision.closer import Closeness, most_runs
from face_service.vision.detector import DetectorInput, DetectorPreprocessor
from face_service.vision.filtering import Order
from face_service.vision.known import KnownFace
from face_service.vision.looks import Detail
from face_service.vision.quality import Quality
from face_service.vision.turning import Rotations

Embedding = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a request. Filters act before embedding.

    min_score: least detection score, 0..1; None for the detector's own. max_faces: the first in
    `order`, None for all. min_face_size: least shorter side of the box inside the image, in pixels.
    det_size: side of the detector's canvas in pixels, None for the engine's own. detail, rotations:
    how closely an image is looked at. detail: None for the service's DETAIL, "1" where an engine is
    used without a service. rotations: None for "none".
    """

    min_score: float | None = None
    max_faces: int | None = None
    min_face_size: float = 0.0
    embeddings: bool = True
    attributes: bool = True
    quality: bool = True
    crops: bool = False
    det_size: int | None = None
    detail: Detail | None = None
    rotations: Rotations | None = None
    order: Order = "score"


DEFAULTS = Options()


@dataclass(frozen=True, slots=True)
class Face:
    """One face, in pixels of the image.

    bbox float32 [4]: x1, y1, x2, y2, not clipped. landmarks float32 [5, 2]: left eye, right
    eye, nose, mouth left, mouth right, as seen in the picture. embedding float32
    [dimension] of norm 1; None if it was not asked for, or if `error` says why there is none.
    score: of the detector, 0..1. age, in years, and gender: None if they were not asked for, or the
    pack has no network for them. quality: None if it was not asked for, or if there is an `error`.
    crop: what was embedded, 112×112 pixels as JPEG; None likewise. confidence: that it is a face,
    0..1; None where the pack has no verifier, or a caller gave the landmarks. rotation: degrees
    clockwise by which the image has to be turned to show the face upright; 0, 90, 180 or 270.
    quality.pose: of the face in the image turned so.
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
    rotation: int = 0

    @property
    def usable(self) -> bool | None:
        """Whether it is fit to be stored or compared; None if quality was not asked for."""
        if self.error is not None:
            return False
        return None if self.quality is None else not self.quality.reasons


class PreparedImage(NamedTuple):
    """An image (uint8 [height, width, 3], BGR), its detector inputs, and the options
    of its request. known: its faces, where they need not be found. further: most runs of the
    detector after those of the inputs. quantisation: see `luminance_step`; None if it was no
    JPEG."""

    image: Image
    inputs: list[DetectorInput]
    options: Options
    known: Sequence[KnownFace] | None = None
    further: int = 0
    quantisation: float | None = None


def preprocess(
    image: Image,
    options: Options,
    preprocessor: DetectorPreprocessor,
    quantisation: float | None = None,
) -> PreparedImage:
    """An image (uint8 [height, width, 3], BGR) with the detector's inputs for it, made by
    `preprocessor` on the canvas that `options` name. Raises KeyError for a `det_size` that it has
    no canvas of. quantisation: see PreparedImage."""
    if options.det_size:
        preprocessor = preprocessor.for_side(options.det_size)
    inputs = preprocessor.preprocess(image)
    further = 0
    if options.detail not in (None, "1") or options.rotations not in (None, "none"):
        height, width = image.shape[:2]
        further = most_runs(width, height, closeness(options, preprocessor), len(inputs))
    return PreparedImage(image, inputs, options, None, further, quantisation)


def closeness(options: Options, preprocessor: DetectorPreprocessor) -> Closeness:
    """How closely `options` want an image to be looked at."""
    side = options.det_size or preprocessor.side
    return Closeness(side, options.detail or "1", options.rotations or "none")
