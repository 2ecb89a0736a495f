"""What every face detector has: the inputs that are made of an image, and runs of the network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import ClassVar, NamedTuple

import cv2
import numpy as np

from face_service.runtime.network import Network
from face_service.runtime.pixel_input import Normalization

from .blob import SCRFD_NORMALIZATION, Blob, Image, to_blob
from .canvas import Canvas, Size, letterbox, padded, smallest
from .detections import Detections, Floats, merge, suppress

STRIDES = (8, 16, 32)
MIN_SCORE = 0.5
"""InsightFace's `det_thresh`."""

CLOSEUP = Size(128, 128)
"""The small canvas of insightface 2.1's "Auto" mode, `DEFAULT_DET_SIZES`."""

MAX_CANDIDATES = 5000
"""Boxes that enter NMS at most, best first. Above a score of 0.5 a canvas never comes near
it; a `min_score` of 0 would otherwise send all of its 16,800 anchors into NMS."""


@lru_cache(maxsize=64)
def cells(width: int, height: int, stride: int) -> Floats:
    """float32 [n, 2], read-only: column and row of each cell of a canvas, by row."""
    grid = np.mgrid[: height // stride, : width // stride][::-1]
    columns_and_rows = np.stack(list(grid), axis=-1).astype(np.float32).reshape(-1, 2)
    columns_and_rows.setflags(write=False)
    return columns_and_rows


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
    of 128 all of them (docs/decisions/0009-canvases.md). closeup: None where no such input is made.
    normalization: of the network's input; None for one that takes pixels. others: canvases of other
    sides that a request may ask for, by side. corner: for close-ups on a graph that takes one size
    alone, the part of the canvas that an image is put on (the rest stays black); else None.
    """

    canvases: tuple[Size, ...]
    closeup: Size | None = None
    normalization: Normalization | None = SCRFD_NORMALIZATION
    others: Mapping[int, tuple[Size, ...]] = field(default_factory=dict, compare=False)
    corner: Size | None = None

    @property
    def side(self) -> int:
        """Side of the first canvas, a square, in pixels."""
        return self.canvases[0].width

    def for_side(self, side: int | None) -> DetectorPreprocessor:
        """The same on canvases of another side, one of `others`; itself for its own and None.
        Raises KeyError for any other side."""
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
        """The inputs for an image turned by so many quarters anticlockwise, the close-up's first.
        Without those on whose canvas a side of it would be 0 pixels: there may be none."""
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
        """The input for a part of an image turned by so many quarters anticlockwise; none where a
        side of it would be 0 pixels. Shrunk by area averaging, by which a sixth more of the faces
        of 14 pixels is found than by InsightFace's bilinear interpolation: InsightFace has no
        tiles, so there are no numbers to be equal to."""
        size = smallest(np.rot90(tile, turns), self.canvases)
        shrunk = max(tile.shape[:2]) > max(size)
        canvas = letterbox(tile, size, turns, cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR)
        return [self._input(canvas, size)] if canvas else []

    def _input(self, canvas: Canvas, size: Size) -> DetectorInput:
        return DetectorInput(to_blob([canvas.pixels], self.normalization), size, canvas.scale)


@dataclass(frozen=True, slots=True)
class Detector(ABC):
    """A detector, and the preprocessor of its images. A subclass decodes the network's outputs."""

    network: Network
    preprocessor: DetectorPreprocessor
    min_score: ClassVar[float] = MIN_SCORE
    """The least score of a face, 0..1, where a request asks for none."""

    def least(self, min_score: float | None) -> float:
        """`min_score`, or the detector's own where it is None."""
        return self.min_score if min_score is None else min_score

    @abstractmethod
    def decode(
        self, outputs: Sequence[Floats], size: Size, min_score: float, scale: float
    ) -> Detections:
        """The outputs for one canvas as candidates by descending score, at least `min_score`, in
        pixels of the image. `scale`: pixels of the canvas for a pixel of the image."""

    def preprocess(self, image: Image) -> list[DetectorInput]:
        """`DetectorPreprocessor.preprocess`."""
        return self.preprocessor.preprocess(image)

    def candidates(self, detector_input: DetectorInput, min_score: float = MIN_SCORE) -> Detections:
        """One run of the network, decoded: see `decode`; `suppress` is still to follow. Raises what
        `Network.run` raises."""
        blob, size, scale = detector_input
        return self.decode(self.network.run(blob), size, min_score, scale)

    def runs(self, inputs: Sequence[DetectorInput]) -> Iterator[list[int]]:
        """The indices of the inputs of each run: all of one canvas, and as many as the network
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
        """`candidates` of each of the inputs of one of `runs`. Raises what `Network.run_batched`
        raises."""
        if len(inputs) == 1:
            return [self.candidates(inputs[0], min_scores[0])]
        outputs = self.network.run_batched(np.concatenate([each.blob for each in inputs]))
        return [
            self.decode([output[row] for output in outputs], each.size, min_score, each.scale)
            for row, (each, min_score) in enumerate(zip(inputs, min_scores, strict=True))
        ]

    def detect(self, inputs: Sequence[DetectorInput], min_score: float = MIN_SCORE) -> Detections:
        """Every face of a preprocessed image whose score is at least `min_score`. Raises what
        `Network.run` raises."""
        return suppress(merge([self.candidates(each, min_score) for each in inputs]))
