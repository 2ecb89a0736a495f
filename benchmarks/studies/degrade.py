"""Ways to spoil a photo in steps, each with where its points have gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from face_service.vision.blob import Image

Matrix = NDArray[np.float64]
"""float64 [3, 3], pixels of the photo to pixels of the spoilt one."""
STAY = np.eye(3)
GAMMA = 2.2
FULL_WELL = 8000.0
"""Electrons at white: the noise of a small sensor's pixel is the root of its light."""
READ_NOISE = 5e-4
"""Standard deviation of the dark, in shares of white."""
FRAME = 480
"""Side of the black frame into which a photo is shrunk: the detector sees the face that small."""


class Spoilt(NamedTuple):
    """A spoilt photo, and where its points have gone."""

    image: Image
    matrix: Matrix


class Photo(NamedTuple):
    """A photo and the box of its face: x1, y1, x2, y2."""

    image: Image
    box: NDArray[np.float32]


Random = np.random.Generator


def blur(photo: Photo, sigma: float, _: Random) -> Spoilt:
    """Out of focus: a Gaussian of so many pixels."""
    return Spoilt(cv2.GaussianBlur(photo.image, (0, 0), sigma), STAY)


def shake(photo: Photo, length: float, random: Random) -> Spoilt:
    """Moved by so many pixels in any direction while the shutter was open."""
    side = int(length)
    kernel = np.zeros((side, side), np.float32)
    centre, angle = (side - 1) / 2, random.uniform(0, np.pi)
    reach = centre * np.array([np.cos(angle), np.sin(angle)])
    ends = [tuple(np.round(centre + sign * reach).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    kernel /= kernel.sum()
    return Spoilt(cv2.filter2D(photo.image, -1, kernel, borderType=cv2.BORDER_REFLECT), STAY)


def darken(photo: Photo, stops: float, random: Random) -> Spoilt:
    """So many times half the light, with the noise that little light has."""
    light = (photo.image / 255.0) ** GAMMA * 2.0**-stops
    noise = random.normal(0, READ_NOISE, light.shape)
    noise += random.normal(0, 1, light.shape) * np.sqrt(light / FULL_WELL)
    return Spoilt(as_pixels(light + noise), STAY)


def brighten(photo: Photo, stops: float, _: Random) -> Spoilt:
    """So many times double the light; what is brighter than white is white."""
    return Spoilt(as_pixels((photo.image / 255.0) ** GAMMA * 2.0**stops), STAY)


def as_pixels(light: NDArray[np.float64]) -> Image:
    """Light 0..1 as a camera stores it."""
    return np.round(np.clip(light, 0, 1) ** (1 / GAMMA) * 255).astype(np.uint8)


def shrink(photo: Photo, side: float, _: Random) -> Spoilt:
    """Until the shorter side of the face's box has so many pixels, in a black frame."""
    x1, y1, x2, y2 = photo.box
    height, width = photo.image.shape[:2]
    scale = side / float(min(x2 - x1, y2 - y1))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    frame = np.zeros((FRAME, FRAME, 3), np.uint8)
    frame[: size[1], : size[0]] = cv2.resize(photo.image, size, interpolation=cv2.INTER_AREA)
    return Spoilt(frame, np.diag([size[0] / width, size[1] / height, 1.0]))


def cut(photo: Photo, share: float, random: Random) -> Spoilt:
    """So that one edge of the image, any of the four, takes this share of the box away."""
    x1, y1, x2, y2 = photo.box.astype(int).tolist()
    height, width = photo.image.shape[:2]
    across, down = int(share * (x2 - x1)), int(share * (y2 - y1))
    left, right, top, bottom = (
        (x1 + across, width, 0, height),
        (0, x2 - across, 0, height),
        (0, width, y1 + down, height),
        (0, width, 0, y2 - down),
    )[random.integers(4)]
    matrix = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]])
    return Spoilt(np.ascontiguousarray(photo.image[top:bottom, left:right]), matrix)


def rotate(photo: Photo, degrees: float, _: Random) -> Spoilt:
    """Clockwise about the face."""
    height, width = photo.image.shape[:2]
    centre = ((photo.box[:2] + photo.box[2:]) / 2).tolist()
    matrix = cv2.getRotationMatrix2D(centre, -degrees, 1)
    turned = cv2.warpAffine(
        photo.image,
        matrix,
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    )
    return Spoilt(turned, np.vstack([matrix, [0, 0, 1]]))


class Way(NamedTuple):
    """How to spoil a photo, in which steps, and the unit of a step."""

    spoil: Callable[[Photo, float, Random], Spoilt]
    steps: tuple[float, ...]
    unit: str


WAYS: Mapping[str, Way] = MappingProxyType(
    {
        "blur": Way(blur, (0.5, 1, 1.5, 2, 2.5, 3, 4, 6), "sigma, px"),
        "shake": Way(shake, (5, 9, 13, 17), "px"),
        "darken": Way(darken, (2, 4, 5, 6, 7, 8), "stops"),
        "brighten": Way(brighten, (1, 1.5, 2, 2.5, 3, 4), "stops"),
        "shrink": Way(shrink, (64, 48, 40, 32, 24, 20, 16, 12), "px"),
        "cut": Way(cut, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), "of the box"),
        "rotate": Way(rotate, (15, 30, 45, 60, 90, 180), "degrees"),
    }
)
"""Faces of ../shared/faces are about 95 pixels wide."""
