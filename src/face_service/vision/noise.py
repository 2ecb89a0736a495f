"""How much of the detail of a crop is noise of the camera."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from .alignment import ARCFACE_SIZE, Affine
from .blob import Image
from .quality import NO_NOISE, detail_powers

MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
"""The difference of two Laplacians, which edges and shades hardly show in (Immerkær 1996, Fast
Noise Variance Estimation)."""
MASK_GAIN = 6.0
"""Standard deviation of what MASK makes of noise of standard deviation 1."""
MEDIAN_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution for a median absolute deviation of 1."""
USUAL = 2.0
"""Standard deviation, in grey levels, that does not count as noise. In good photos what is found is
the texture of skin and hair: at most 1 in LFW at every size (benchmarks/studies/alignment.py)."""
MIDDLE = (56.0, 64.0, 1.0)
"""The middle of a face in its crop: x and y in pixels, and the 1 that a matrix [2, 3] needs."""
PATCH, LEAST = 32, 8
"""Noise is measured up to PATCH pixels from the middle of a face on every side; none is found where
what lies in the image of these has a side of fewer than LEAST pixels."""
FIELD = 512
"""Side of the artificial noise, in pixels of the image: twice what a crop covers at most."""


def crop_noise(image: Image, matrix: Affine) -> tuple[float, ...]:
    """What noise of an image adds to the four `detail_powers` of the crop of a face, which `matrix`
    cuts without aliasing; zeros where there is no more of it than in good photos.

    Measured in the image, at its own size: a crop that enlarges a small face has smoothed its noise
    to what looks like detail. How much of it is left there is measured on artificial noise of
    variance 1, cropped with the same matrix.
    """
    variance = variance_at(image, cv2.invertAffineTransform(matrix) @ MIDDLE)
    if variance == 0:
        return NO_NOISE
    moved = matrix.copy()
    moved[:, 2] = np.array(MIDDLE[:2]) - matrix[:, :2] @ (FIELD / 2, FIELD / 2)
    seen = cv2.warpAffine(field(), moved, (ARCFACE_SIZE, ARCFACE_SIZE))
    return tuple(variance * power for power in detail_powers(seen))


def variance_at(image: Image, middle: NDArray[np.floating]) -> float:
    """`noise_variance` of the image around a point [2]; 0 where too little of it lies there."""
    x, y = (int(value) for value in np.clip(middle, -PATCH, max(image.shape) + PATCH))
    patch = image[max(0, y - PATCH) : max(0, y + PATCH), max(0, x - PATCH) : max(0, x + PATCH)]
    if min(patch.shape[:2]) < LEAST:
        return 0.0
    return noise_variance(cv2.cvtColor(patch, cv2.COLOR_BGR2GRAY).astype(np.float32))


def noise_variance(grey: NDArray[np.float32]) -> float:
    """By how much the variance of the noise of a picture, float32 [height, width], 0..255, exceeds
    that of USUAL, in squared grey levels; 0 where it does not.

    By the median, because a mean would count every eyelash.
    """
    found = cv2.filter2D(grey, -1, MASK)[1:-1, 1:-1]
    sigma = MEDIAN_TO_SIGMA * float(np.median(np.abs(found))) / MASK_GAIN
    return max(0.0, sigma * sigma - USUAL * USUAL)


@lru_cache(maxsize=1)
def field() -> NDArray[np.float32]:
    """Artificial noise of variance 1, the same always: float32 [FIELD, FIELD]."""
    noise = np.random.default_rng(0).standard_normal((FIELD, FIELD), np.float32)
    noise.setflags(write=False)
    return noise
