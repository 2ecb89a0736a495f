"""Pictures whose faces are known: heads of ../shared/faces pasted onto scenery."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2

from benchmarks.frames import SHARED
from face_service.packs.pack import sha256_of
from face_service.runtime.network import load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.tools.evaluation import main_face
from face_service.tools.quantization.frames import Box, Head, head_at
from face_service.vision.blob import Image
from face_service.vision.boxes import area, clip, iou
from face_service.vision.canvas import Size
from face_service.vision.detections import Detections
from face_service.vision.detector import DetectorPreprocessor
from face_service.vision.scrfd import Scrfd

SQUARE = Size(640, 640)
DETECTORS = ("det_2.5g", "det_500m")
THREADS = 2


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
    """One photo."""
    photo = cv2.imread(str(path))
    found = find.detect(find.preprocess(photo))
    boxes = [Candidate(box) for box in found.bboxes]
    return head_at(photo, main_face(boxes, photo).bbox)  # type: ignore[type-var]


class Candidate(NamedTuple):
    """What `main_face` looks at."""

    bbox: Box


def clipped(box: Box, image: Image) -> Box:
    """The part of a box that lies in the image."""
    height, width = image.shape[:2]
    return clip(box, width, height)


def visible(box: Box, image: Image) -> float:
    """Share of the area of a box that lies in the image, 0..1."""
    return float(area(clipped(box, image)) / area(box))


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, 0..1."""
    return float(iou(a, b[None])[0])


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
