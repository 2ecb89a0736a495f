"""Pictures whose faces are known: heads of ../shared/faces pasted onto scenery."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.frames import SHARED
from face_service.packs.pack import sha256_of
from face_service.runtime.network import NetworkSpec, load_networks
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.tools.evaluation import main_face
from face_service.vision.blob import Image
from face_service.vision.canvas import Size
from face_service.vision.scrfd import Detections, DetectorPreprocessor, Scrfd

Box = NDArray[np.float32]
"""float32 [4]: x1, y1, x2, y2 in pixels, not clipped."""

SQUARE = Size(640, 640)
DETECTORS = ("det_2.5g", "det_500m")
THREADS = 2


@dataclass(frozen=True, slots=True)
class Head:
    """A photo, how much of each of its pixels is pasted (0..1), and the box of its face."""

    photo: Image
    mask: NDArray[np.float32]
    box: Box

    @property
    def height(self) -> float:
        """Height of the face in pixels of the photo."""
        return float(self.box[3] - self.box[1])


class Scene(NamedTuple):
    """A picture and the box of each face in it, parts outside the picture included."""

    image: Image
    boxes: list[Box]


def detector(name: str, canvases: tuple[Size, ...], closeup: Size | None = None) -> Scrfd:
    """One of the official detectors of ../shared/models."""
    path = SHARED / "models" / f"{name}.onnx"
    task = NetworkSpec(path, sha256_of(path))
    (network,) = load_networks([task], (CPU,), RuntimeConfig(THREADS))
    return Scrfd(network, DetectorPreprocessor(canvases, closeup))


def read_heads() -> list[Head]:
    """Every photo of ../shared/faces, its face located by det_2.5g on the photo itself."""
    find = detector("det_2.5g", (SQUARE,))
    paths = sorted((SHARED / "faces" / "lfw").glob("*/*.jpg"))
    return list(map(partial(read_head, find), paths))


def read_head(find: Scrfd, path: Path) -> Head:
    """One photo. The mask keeps the head and lets the people behind it go."""
    photo = cv2.imread(str(path))
    found = find.detect(find.preprocess(photo))
    boxes = [Candidate(box) for box in found.bboxes]
    x1, y1, x2, y2 = box = main_face(boxes, photo).bbox  # type: ignore[type-var]
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]].astype(np.float32)
    across = (x - (x1 + x2) / 2) / (0.95 * (x2 - x1))
    down = (y - (y1 + y2) / 2) / (0.85 * (y2 - y1))
    mask = np.clip((1 - np.hypot(across, down)) * 5, 0, 1).astype(np.float32)
    return Head(photo, mask, box)


class Candidate(NamedTuple):
    """What `main_face` looks at."""

    bbox: Box


def scenery(random: np.random.Generator, width: int, height: int) -> Image:
    """Colours that vary at every scale, as in nature, with the edges of man-made things."""
    image = np.full((height, width, 3), 128, np.float32)
    for cells in (3, 6, 12, 24, 48, 96):
        coarse = random.normal(0, 1, (-(-cells * height // width), cells, 3)).astype(np.float32)
        # Brightness varies more than colour.
        coarse += 3 * random.normal(0, 1, (*coarse.shape[:2], 1)).astype(np.float32)
        image += 30 / cells**0.6 * cv2.resize(coarse, (width, height))
    image += random.normal(0, 3, image.shape).astype(np.float32)
    for _ in range(random.integers(4, 20)):
        x, y = (int(random.integers(side)) for side in (width, height))
        w, h = (int(side * random.uniform(0.02, 0.3)) for side in (width, height))
        part = image[y : y + h, x : x + w]
        part *= 0.5
        part += random.uniform(0, 128, 3).astype(np.float32)
    return np.clip(image, 0, 255).astype(np.uint8)


def paste(image: Image, head: Head, scale: float, left: float, top: float) -> Box:
    """Put a head into `image`, grown by `scale`, its photo's corner at (left, top), where it
    may stand out over any edge. Returns the box of its face in the image.
    """
    matrix = np.array([[scale, 0, left], [0, scale, top]])
    height, width = image.shape[:2]
    x1, y1 = max(0, int(left)), max(0, int(top))
    x2 = min(width, int(left + scale * head.photo.shape[1]))
    y2 = min(height, int(top + scale * head.photo.shape[0]))
    if x1 < x2 and y1 < y2:
        matrix -= [[0, 0, x1], [0, 0, y1]]
        source, mask = head.photo, head.mask
        if scale < 1:  # sampling a shrunk picture straight would alias
            small = max(1, round(source.shape[1] * scale)), max(1, round(source.shape[0] * scale))
            source, mask = (
                cv2.resize(part, small, interpolation=cv2.INTER_AREA) for part in (source, mask)
            )
            matrix[:, :2] /= scale
        size = (x2 - x1, y2 - y1)
        pixels = cv2.warpAffine(source, matrix, size, flags=cv2.INTER_CUBIC)
        share = cv2.warpAffine(mask, matrix, size)[..., None]
        region = image[y1:y2, x1:x2]
        region[:] = region + share * (pixels.astype(np.float32) - region)
    return (head.box * scale + np.tile((left, top), 2)).astype(np.float32)


def clipped(box: Box, image: Image) -> Box:
    """The part of a box that lies in the image."""
    height, width = image.shape[:2]
    return np.clip(box, 0, np.array([width, height] * 2, np.float32)).astype(np.float32)


def visible(box: Box, image: Image) -> float:
    """Share of the area of a box that lies in the image, 0..1."""
    return area(clipped(box, image)) / area(box)


def area(box: Box) -> float:
    """Pixels of a box."""
    return float(max(0, box[2] - box[0]) * max(0, box[3] - box[1]))


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, 0..1."""
    corners = (*np.maximum(a[:2], b[:2]), *np.minimum(a[2:], b[2:]))
    both = area(np.array(corners, np.float32))
    return both / (area(a) + area(b) - both) if both else 0.0


def pairs(left: list[Box], right: list[Box], least: float) -> dict[int, int]:
    """Index in `left` → index in `right`, best overlaps first, none below `least`."""
    overlaps = sorted(
        ((overlap(a, b), i, j) for i, a in enumerate(left) for j, b in enumerate(right)),
        reverse=True,
    )
    found: dict[int, int] = {}
    for value, i, j in overlaps:
        if value >= least and i not in found and j not in found.values():
            found[i] = j
    return found


def boxes_of(found: Detections, image: Image) -> list[Box]:
    """The boxes of detections, clipped to the image."""
    return [clipped(box, image) for box in found.bboxes]
