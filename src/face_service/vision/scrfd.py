"""SCRFD: the face detector.

Steps, constants and their order follow `model_zoo/scrfd.py` of insightface 2.1, in
float32 throughout, so that boxes, scores and landmarks equal its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from face_service.runtime.network import Network
from face_service.runtime.pixel_input import Normalization

from .blob import SCRFD_NORMALIZATION, Blob, Image, to_blob
from .canvas import Canvas, Size, letterbox, padded, smallest

STRIDES = (8, 16, 32)
ANCHORS_PER_CELL = 2
IOU_THRESHOLD = 0.4
MIN_SCORE = 0.5
"""InsightFace's `det_thresh`."""

CLOSEUP = Size(128, 128)
"""The small canvas of insightface 2.1's "Auto" mode, `DEFAULT_DET_SIZES`."""

MAX_CANDIDATES = 5000
"""Boxes that enter NMS at most, best first. Above a score of 0.5 a canvas never comes near
it; a `min_score` of 0 would otherwise send all of its 16,800 anchors into NMS."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Detections:
    """Faces of one image by descending score, in pixels of that image.

    bboxes float32 [n, 4] as x1, y1, x2, y2, not clipped; scores float32 [n] in 0..1;
    landmarks float32 [n, 5, 2]: left eye, right eye, nose, mouth left, mouth right, as
    seen in the picture. angles int16 [n]: degrees clockwise by which the picture was turned when
    the face was found; None where it never was.
    """

    bboxes: Floats
    scores: Floats
    landmarks: Floats
    angles: NDArray[np.int16] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, indices: NDArray[np.intp] | slice) -> Detections:
        """These faces alone, in this order."""
        angles = None if self.angles is None else self.angles[indices]
        return Detections(
            self.bboxes[indices], self.scores[indices], self.landmarks[indices], angles
        )

    @property
    def turned(self) -> NDArray[np.int16]:
        """`angles`, zeros where there are none."""
        return np.zeros(len(self), np.int16) if self.angles is None else self.angles


NO_DETECTIONS = Detections(
    np.empty((0, 4), np.float32),
    np.empty(0, np.float32),
    np.empty((0, 5, 2), np.float32),
)


class DetectedFace(NamedTuple):
    """One detection and the image it was found in (uint8 [height, width, 3], BGR).

    bbox float32 [4], score 0..1, landmarks float32 [5, 2], angle in degrees, as in `Detections`.
    """

    image: Image
    bbox: Floats
    score: float
    landmarks: Floats
    angle: int = 0


class DetectorInput(NamedTuple):
    """The input of one pass of the detector. blob: of one image, made by `to_blob`. size: of its
    canvas. scale: pixels of the canvas for a pixel of the image."""

    blob: Blob
    size: Size
    scale: float


@dataclass(frozen=True, slots=True)
class DetectorPreprocessor:
    """Makes the inputs of the detector from images. Immutable and without a session: any thread
    may use it.

    An image goes on the smallest of `canvases` on which it is as large as on the first, and before
    that, for close faces, on `closeup`. On a canvas of 640 a face that fills the picture is larger
    than any anchor: where its box is 1.8 times as high as the frame, 0 to 2.5 % are found, on one
    of 128 all of them (docs/decisions/0009-canvases.md). normalization: of the network's input;
    None for one that takes pixels. others: canvases of other sides that a request may ask for, by
    side. corner: for close-ups on a graph that takes one size alone, the part of the canvas that
    an image is put on; the rest stays black.
    """

    canvases: tuple[Size, ...]
    closeup: Size | None = None
    normalization: Normalization | None = SCRFD_NORMALIZATION
    others: Mapping[int, tuple[Size, ...]] = field(default_factory=dict, compare=False)
    corner: Size | None = None

    @property
    def side(self) -> int:
        """Of the first canvas, the square, in pixels."""
        return self.canvases[0].width

    def for_side(self, side: int | None) -> DetectorPreprocessor:
        """The same on canvases of another side, one of `others`; itself for its own and None."""
        if side is None or side == self.side:
            return self
        return replace(self, canvases=self.others[side])

    @property
    def max_bytes(self) -> int:
        """Bytes that the inputs made of one image take at most: three channels, of float32 or of
        pixels."""
        sizes = (self.canvases[0], *([self.closeup] if self.closeup else []))
        return sum(
            size.width * size.height * 3 * (4 if self.normalization else 1) for size in sizes
        )

    def preprocess(self, image: Image, turns: int = 0) -> list[DetectorInput]:
        """The inputs for an image turned by so many quarters anticlockwise, the close-up's first;
        none where a side of it would vanish."""
        if self.corner:
            small = letterbox(image, self.corner, turns)
            return [self._input(padded(small, self.canvases[0]), self.canvases[0])] if small else []
        sizes = [smallest(np.rot90(image, turns), self.canvases)]
        if self.closeup:
            sizes.insert(0, self.closeup)  # the order of InsightFace's "Auto"
        return [
            self._input(canvas, size) for size in sizes if (canvas := letterbox(image, size, turns))
        ]

    def preprocess_tile(self, tile: Image, turns: int = 0) -> list[DetectorInput]:
        """The input for a part of an image, shrunk by area: nobody expects other numbers, and of
        faces of 14 pixels a sixth more is found."""
        size = smallest(np.rot90(tile, turns), self.canvases)
        shrunk = max(tile.shape[:2]) > max(size)
        canvas = letterbox(tile, size, turns, cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR)
        return [self._input(canvas, size)] if canvas else []

    def _input(self, canvas: Canvas, size: Size) -> DetectorInput:
        return DetectorInput(to_blob([canvas.pixels], self.normalization), size, canvas.scale)


@dataclass(frozen=True, slots=True)
class Scrfd:
    """A detector, and the preprocessor of its images."""

    network: Network
    preprocessor: DetectorPreprocessor

    def preprocess(self, image: Image) -> list[DetectorInput]:
        """`DetectorPreprocessor.preprocess`."""
        return self.preprocessor.preprocess(image)

    def candidates(self, detector_input: DetectorInput, min_score: float = MIN_SCORE) -> Detections:
        """One run of the network: boxes by descending score, none suppressed yet."""
        blob, size, scale = detector_input
        return decode_scrfd(self.network.run(blob), size, min_score, scale)

    def runs(self, inputs: Sequence[DetectorInput]) -> Iterator[list[int]]:
        """The indices of the inputs that one run takes: of one canvas, as many as the network
        takes at once."""
        most = self.network.policy.batches[-1]
        by_canvas: dict[Size, list[int]] = {}
        for number, each in enumerate(inputs):
            by_canvas.setdefault(each.size, []).append(number)
        for numbers in by_canvas.values():
            yield from (numbers[i : i + most] for i in range(0, len(numbers), most))

    def candidates_together(
        self, inputs: Sequence[DetectorInput], min_scores: Sequence[float]
    ) -> list[Detections]:
        """`candidates` of each of the inputs of one of `runs`."""
        if len(inputs) == 1:
            return [self.candidates(inputs[0], min_scores[0])]
        outputs = self.network.run_batched(np.concatenate([each.blob for each in inputs]))
        return [
            decode_scrfd([output[row] for output in outputs], each.size, min_score, each.scale)
            for row, (each, min_score) in enumerate(zip(inputs, min_scores, strict=True))
        ]

    def detect(self, inputs: Sequence[DetectorInput], min_score: float = MIN_SCORE) -> Detections:
        """Every face of a preprocessed image whose score is at least `min_score`."""
        return suppress(merge([self.candidates(each, min_score) for each in inputs]))


@lru_cache(maxsize=64)
def anchor_centers(width: int, height: int, stride: int) -> Floats:
    """float32 [n, 2]: x, y of each anchor's centre; cells by row, two anchors a cell."""
    grid = np.mgrid[: height // stride, : width // stride][::-1]
    cells = np.stack(list(grid), axis=-1).astype(np.float32).reshape(-1, 2) * np.float32(stride)
    centers = np.repeat(cells, ANCHORS_PER_CELL, axis=0)
    centers.setflags(write=False)
    return centers


def decode_scrfd(
    outputs: Sequence[Floats], size: Size, min_score: float, scale: float
) -> Detections:
    """Turn the nine outputs for one canvas into candidates by descending score.

    `outputs`: scores, boxes and landmarks for strides 8, 16, 32, each [N, C] or [1, N, C];
    distances from the anchor in strides. `scale`: pixels of the canvas for a pixel of the image.
    """
    bboxes, scores, landmarks = [], [], []
    for level, stride in enumerate(STRIDES):
        level_scores = outputs[level].reshape(-1)
        (found,) = np.nonzero(level_scores >= min_score)
        if not len(found):
            continue
        centers = anchor_centers(*size, stride)[found]
        distances = outputs[level + 3].reshape(-1, 4)[found] * stride
        offsets = outputs[level + 6].reshape(-1, 5, 2)[found] * stride
        scores.append(level_scores[found])
        bboxes.append(np.hstack((centers - distances[:, :2], centers + distances[:, 2:])))
        landmarks.append(centers[:, None] + offsets)
    if not scores:
        return NO_DETECTIONS
    shrink = np.float32(scale)
    candidates = Detections(
        np.divide(np.concatenate(bboxes), shrink, dtype=np.float32),
        np.concatenate(scores),
        np.divide(np.concatenate(landmarks), shrink, dtype=np.float32),
    )
    return candidates.take(by_score(candidates.scores)[:MAX_CANDIDATES])


def merge(passes: Sequence[Detections]) -> Detections:
    """The candidates of several passes by descending score, all of them before any is
    suppressed."""
    if len(passes) == 1:
        return passes[0]
    if not passes:
        return NO_DETECTIONS
    together = Detections(
        np.concatenate([found.bboxes for found in passes]),
        np.concatenate([found.scores for found in passes]),
        np.concatenate([found.landmarks for found in passes]),
        None
        if all(found.angles is None for found in passes)
        else np.concatenate([found.turned for found in passes]),
    )
    return together.take(by_score(together.scores))


def by_score(scores: Floats) -> NDArray[np.intp]:
    """Indices by descending score; equal scores keep their order."""
    return np.argsort(-scores, kind="stable")


def suppress(candidates: Detections) -> Detections:
    """Non-maximum suppression of candidates that are sorted by descending score.

    A box goes if it overlaps a better one with IoU > 0.4; areas count the pixels at both
    ends (the +1 convention).
    """
    x1, y1, x2, y2 = candidates.bboxes.T
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    order = np.arange(len(candidates))
    keep = []
    while order.size:
        best, rest = order[0], order[1:]
        keep.append(best)
        width = np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest]) + 1
        height = np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest]) + 1
        overlap = np.maximum(0.0, width) * np.maximum(0.0, height)
        order = rest[overlap / (areas[best] + areas[rest] - overlap) <= IOU_THRESHOLD]
    return candidates.take(np.array(keep, np.intp))
