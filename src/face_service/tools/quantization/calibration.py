"""Calibration inputs: what the networks of a pack are given for real photos."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from face_service.engine_factory.builder import Canvases, detector_class, detector_spec
from face_service.errors import InvalidRequest, RequestError
from face_service.packs.entries import Role
from face_service.packs.pack import Pack, PackModel
from face_service.runtime.network import load_networks
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.tools.photos import photos_in, read_photo
from face_service.vision.alignment import align_face
from face_service.vision.blob import Blob, Image, to_blob
from face_service.vision.canvas import Size, letterbox
from face_service.vision.detector import Detector, DetectorPreprocessor

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

MAX_PHOTOS = 256
"""Photos that are used, evenly spread over the folder; more do not change the ranges."""
MAX_SINGLE = 24
"""Photos that the detector is given alone, for calibration and again for the comparison."""
GRIDS, GRID_SIDES = 4, (2, 4, 8)
"""GRIDS grids each of 2×2, 4×4 and 8×8 photos are added. On portraits alone the heads for small
faces have outputs near 0 only, and with int8 ranges from these no face of a group photo is found
(docs/decisions/0011-precision.md)."""
GRID_PIXELS = 640
"""Side of a grid."""
MAX_CROPS = 128
"""Faces on which the recogniser is calibrated, evenly spread over those that are found."""
MIN_PHOTOS, MIN_CROPS = 10, 16
"""Photos with faces, and faces on them. Fewer would set the ranges by chance: an int8 detector
calibrated on one black-and-white photo found none of the six faces of a colour one."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Photos, and crops of the faces on them.

    photos: the detector is calibrated on every other one and compared on the rest. crops: aligned
    faces, uint8 [112, 112, 3], BGR.
    """

    photos: tuple[Path, ...]
    crops: tuple[Image, ...]

    def canvases(self, detector: Detector) -> Iterator[Blob]:
        """Inputs of the detector, float32 [1, 3, height, width], one at a time."""
        for scene in scenes(self.photos[::2]):
            for one in detector.preprocess(scene):
                yield one.blob

    def held_out(self) -> Iterator[Image]:
        """Images on which the quantised detector is compared with the original."""
        return scenes(self.photos[1::2])

    def faces(self, model: PackModel) -> Iterator[Blob]:
        """Inputs of a recogniser, float32 [1, 3, 112, 112], one at a time."""
        for crop in self.crops:
            yield to_blob([crop], model.normalization)


def build_cpu_detector(pack: Pack, canvases: Canvases, threads: int) -> Detector:
    """The detector of a pack, on ONNX Runtime's own CPU provider with `threads` threads."""
    spec, passes = detector_spec(pack, canvases)
    (network,) = load_networks([spec], (CPU,), RuntimeConfig(threads))
    normalization = pack.models[Role.DETECTION].normalization
    preprocessor = DetectorPreprocessor(passes.allowed, passes.closeup, normalization)
    return detector_class(pack)(network, preprocessor)


def calibrate(folder: Path, detector: Detector) -> Calibration:
    """Find faces on the photos of a folder and of the folders in it.

    A file that cannot be decoded is left out with a warning. Raises InvalidRequest where
    fewer than MIN_PHOTOS photos show a face, or fewer than MIN_CROPS faces are found.
    """
    photos, with_faces, crops = [], 0, []
    for path in spread(photos_in(folder), MAX_PHOTOS):
        try:
            image = read_photo(path)
        except RequestError as error:
            logger.warning("Left out: %s", error)
            continue
        faces = detector.detect(detector.preprocess(image))
        photos.append(path)
        with_faces += len(faces) > 0
        crops += [align_face(image, landmarks) for landmarks in faces.landmarks]
    whole = [crop for crop in crops if crop is not None]
    if with_faces < MIN_PHOTOS or len(whole) < MIN_CROPS:
        raise InvalidRequest(
            f"--calibrate {folder}: {len(whole)} faces on {with_faces} photos; at least "
            f"{MIN_CROPS} on {MIN_PHOTOS} are needed, a hundred are better, of the kind the "
            "service will see"
        )
    return Calibration(tuple(photos), tuple(spread(whole, MAX_CROPS)))


def scenes(photos: Sequence[Path]) -> Iterator[Image]:
    """Photos one by one, then grids of them, so that there are faces of every size. photos: not
    empty."""
    for path in spread(photos, MAX_SINGLE):
        yield read_photo(path)
    endless = cycle(photos)
    for side in GRID_SIDES:
        tiles: dict[Path, Image] = {}  # a photo is read once for the grids of a size
        for _ in range(GRIDS):
            chosen = list(islice(endless, side * side))
            tiles.update({path: tile(read_photo(path), side) for path in {*chosen} - {*tiles}})
            yield grid([tiles[path] for path in chosen], side)


def tile(image: Image, side: int) -> Image:
    """An image scaled to its place in a grid of `side` × `side`: uint8 [n, n, 3], n pixels being
    GRID_PIXELS / side."""
    size = Size(GRID_PIXELS // side, GRID_PIXELS // side)
    canvas = letterbox(image, size)
    return canvas.pixels if canvas else np.zeros((size.height, size.width, 3), np.uint8)


def grid(tiles: Sequence[Image], side: int) -> Image:
    """`side` × `side` tiles: uint8 [GRID_PIXELS, GRID_PIXELS, 3]."""
    return np.vstack([np.hstack(tiles[row : row + side]) for row in range(0, len(tiles), side)])


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most `most` of the items, evenly spread, in their order."""
    if len(items) <= most:
        return list(items)
    return [items[int(i)] for i in np.linspace(0, len(items) - 1, most)]
