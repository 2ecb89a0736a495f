"""Frames whose faces are known: heads cut out of photos, pasted onto scenery that is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from face_service.vision.blob import Image
from face_service.vision.canvas import Size
from face_service.vision.detector import Detector

Box = NDArray[np.float32]
"""float32 [4]: x1, y1, x2, y2 in pixels, not clipped."""

SHAPES = (Size(960, 540), Size(960, 540), Size(540, 960), Size(720, 540))
"""Of the frames, in turn. On a canvas of 640 a larger frame would show no more."""
MOST_HEADS = 6
"""Of a frame."""
LOWEST = 20
"""Least height of a face in pixels: 13 on a canvas of 640, which a detector hardly finds. The
highest faces nearly fill the frame."""


@dataclass(frozen=True, slots=True)
class Head:
    """A photo, how much of each of its pixels is pasted (float32 [height, width], 0..1), and the
    box of its face."""

    photo: Image
    mask: NDArray[np.float32]
    box: Box

    @property
    def height(self) -> float:
        """Height of the face in pixels of the photo."""
        return float(self.box[3] - self.box[1])


def head_at(photo: Image, box: Box) -> Head:
    """The head whose face has this box; its mask leaves out the people beside it."""
    x1, y1, x2, y2 = box
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]].astype(np.float32)
    across = (x - (x1 + x2) / 2) / (0.95 * (x2 - x1))
    down = (y - (y1 + y2) / 2) / (0.85 * (y2 - y1))
    mask = np.clip((1 - np.hypot(across, down)) * 5, 0, 1).astype(np.float32)
    return Head(photo, mask, box)


def heads_of(photo: Image, detector: Detector) -> list[Head]:
    """Every head of a photo, each with the part of the photo around it."""
    heads = []
    for box in detector.detect(detector.preprocess(photo)).bboxes:
        side = float(max(box[2] - box[0], box[3] - box[1]))
        left, top = (max(0, int(edge - 0.6 * side)) for edge in box[:2])
        right, bottom = (int(edge + 0.6 * side) for edge in box[2:])
        part = photo[top:bottom, left:right]
        heads.append(head_at(part, np.asarray(box - (left, top, left, top), np.float32)))
    return heads


def as_image(pixels: Any) -> Image:
    """What OpenCV made, as uint8."""
    return np.asarray(pixels, np.uint8)


def scenery(random: np.random.Generator, width: int, height: int) -> Image:
    """uint8 [height, width, 3]: colours that vary at every scale, as in nature, with the edges of
    man-made things."""
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
    """Paste a head into `image`, which is changed.

    Its photo is scaled by `scale`, the top left corner comes to (left, top), in pixels, and may
    reach over any edge. Returns the box of its face in the image.
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
            source = as_image(cv2.resize(source, small, interpolation=cv2.INTER_AREA))
            mask = np.asarray(cv2.resize(mask, small, interpolation=cv2.INTER_AREA), np.float32)
            matrix[:, :2] /= scale
        size = (x2 - x1, y2 - y1)
        pixels = cv2.warpAffine(source, matrix, size, flags=cv2.INTER_CUBIC)
        share = cv2.warpAffine(mask, matrix, size)[..., None]
        region = image[y1:y2, x1:x2]
        region[:] = region + share * (pixels.astype(np.float32) - region)
    return np.asarray(head.box * scale + np.tile((left, top), 2), np.float32)


def frames(heads: Sequence[Head], count: int, seed: int) -> Iterator[Image]:
    """`count` frames, the same for the same `seed`, each with 1 to MOST_HEADS of `heads` (not
    empty), of any height at any place, in other light and colours than on their photos; some frames
    are out of focus, some heads reach over an edge."""
    for number in range(count):
        random = np.random.default_rng((seed, number))
        size = SHAPES[number % len(SHAPES)]
        image = scenery(random, *size)
        for _ in range(random.integers(1, MOST_HEADS + 1)):
            head = relit(heads[int(random.integers(len(heads)))], random)
            highest = 0.9 * size.height
            scale = np.exp(random.uniform(*np.log((LOWEST, highest)))) / head.height
            # Its middle is in the frame, so at least a quarter of it is.
            x, y = random.uniform((0.02, 0.02), (0.98, 0.98)) * size
            middle = (head.box[:2] + head.box[2:]) / 2 * scale
            paste(image, head, scale, x - middle[0], y - middle[1])
        if random.random() < 0.3:
            image = as_image(cv2.GaussianBlur(image, (0, 0), random.uniform(0.5, 2)))
        yield image


def relit(head: Head, random: np.random.Generator) -> Head:
    """A head in another light: brighter or darker, with more or less contrast, tinted between blue
    and red; half of them mirrored."""
    red = random.uniform(0.9, 1.35)
    gains = random.uniform(0.45, 1.25) * np.array([random.uniform(0.6, 1.1) / red, 0.9, red])
    contrast = random.uniform(0.6, 1.2)
    pixels = (head.photo.astype(np.float32) - 128) * contrast + 128
    photo = np.clip(pixels * gains.astype(np.float32), 0, 255).astype(np.uint8)
    if random.random() < 0.5:
        return Head(photo, head.mask, head.box)
    width = photo.shape[1]
    x1, y1, x2, y2 = head.box
    mirrored = np.array((width - x2, y1, width - x1, y2), np.float32)
    return Head(np.ascontiguousarray(photo[:, ::-1]), head.mask[:, ::-1], mirrored)
