"""Five landmarks to the square crop a network was trained on."""

from __future__ import annotations

from math import floor, log2, sqrt
from typing import Literal, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from .blob import Image

ARCFACE_SIZE = 112
ARCFACE_TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    np.float32,
)
"""float32 [5, 2], x and y in pixels: where the landmarks of a 112×112 crop lie, by
`utils/face_align.py` of insightface 2.1."""

TOO_LONG = 32_767
"""Side of an image, in pixels, from which on `cv2.warpAffine` refuses it: it counts in 16 bits
(findings/opencv-warp-wide.sh, opencv/opencv#26860). Once that is mended, `crop_of_long` may go."""
MARGIN = 4
"""Pixels kept around the part of an image that a crop samples: bilinear interpolation needs one."""

Alignment = Literal["insightface", "antialiased"]
"""How a crop is cut: sampled from the image, as InsightFace does, or from a copy that was averaged
down before, so that a pixel of the crop is a mean of the area that it covers."""
MOST_HALVINGS = 10
"""Times that an image is halved at most, whatever the box: enough for a face of 100,000 pixels."""

Affine = NDArray[np.float64]
"""float64 [2, 3], image pixels to crop pixels."""


def similarity(source: NDArray[np.float32], target: NDArray[np.float32]) -> Affine | None:
    """The similarity that brings `source` [n, 2] nearest to `target` [n, 2] (Umeyama 1991).

    The precision of each step is that of scikit-image's `SimilarityTransform`: means and
    covariance in the points' own float32, the matrix in float64. That makes crops equal to
    InsightFace's to the bit. None if the points all coincide or are not finite.
    """
    if not np.isfinite(source).all():
        return None
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    source_centred, target_centred = source - source_mean, target - target_mean
    covariance = target_centred.T @ source_centred / len(source)
    signs = np.ones(2)
    if np.linalg.det(covariance) < 0:
        signs[1] = -1
    u, singular, v = np.linalg.svd(covariance)
    rank = np.count_nonzero(singular > singular.max() * 2 * np.finfo(float).eps)
    if rank == 0:
        return None
    if rank == 1:
        # Points on a line: the reflection cannot be told, take the one that is none.
        signs[1] = 1 if np.linalg.det(u) * np.linalg.det(v) > 0 else -1
    rotation = u @ np.diag(signs) @ v
    scale = 1.0 / source_centred.var(axis=0).sum() * (singular @ signs)
    matrix = np.empty((2, 3))
    matrix[:, 2] = target_mean - scale * (rotation @ source_mean.T)
    matrix[:, :2] = rotation * scale
    return matrix if np.isfinite(matrix).all() else None


def crop(image: Image, matrix: Affine, size: int) -> Image:
    """The `size`×`size` crop that `matrix` describes: bilinear, black outside the image."""
    if max(image.shape[:2]) >= TOO_LONG:
        return crop_of_long(image, matrix, size)
    return cast(Image, cv2.warpAffine(image, matrix, (size, size), borderValue=0.0))


def crop_of_long(image: Image, matrix: Affine, size: int) -> Image:
    """`crop` of an image with a side of TOO_LONG or more, from the part that `matrix` samples.

    The crop is the same to the bit: the part begins at a whole pixel, so at a whole number of the
    steps of 1/32 pixel in which OpenCV interpolates. Of a part that is itself too long only the
    middle is used.
    """
    inverse = inverted(matrix)
    spans = []
    for span in seen_by(inverse, size, image, MARGIN):
        excess = max(0, span.stop - span.start - TOO_LONG + 1)
        spans.append(slice(span.start + excess // 2, span.stop - (excess + 1) // 2))
    across, down = spans
    part = image[down, across]
    if not part.size:
        return np.zeros((size, size, 3), np.uint8)
    inverse[:, 2] -= across.start, down.start
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cast(Image, cv2.warpAffine(part, inverse, (size, size), flags=flags, borderValue=0.0))


def seen_by(inverse: Affine, size: int, image: Image, margin: int) -> list[slice]:
    """The columns and the rows of an image that a crop samples, with `margin` pixels around them,
    cut off at the image's edges. inverse: crop pixels to image pixels."""
    corners = inverse @ np.array([[0, 0, size, size], [0, size, 0, size], [1, 1, 1, 1]])
    spans = []
    for side, seen in zip((image.shape[1], image.shape[0]), corners, strict=True):
        low, high = np.clip((seen.min() - margin, seen.max() + margin), 0, side).astype(int)
        spans.append(slice(int(low), int(high)))
    return spans


def averaged(image: Image, matrix: Affine, size: int) -> tuple[Image, Affine]:
    """The part of an image that a crop samples, halved by area averaging until a pixel of the crop
    is less than two of its pixels wide, and the matrix that cuts the crop from it. `image` and
    `matrix` themselves where that is so already; a black pixel where the part is empty."""
    scale = sqrt(abs(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]))
    halvings = min(MOST_HALVINGS, floor(log2(1 / scale))) if 0 < scale <= 0.5 else 0
    if not halvings:
        return image, matrix
    block = 2**halvings
    across, down = (
        in_blocks(span, block) for span in seen_by(inverted(matrix), size, image, MARGIN * block)
    )
    part = image[down, across]
    if not part.size:
        return np.zeros((1, 1, 3), np.uint8), matrix
    shape = part.shape[1] // block, part.shape[0] // block
    small = cast(Image, cv2.resize(part, shape, interpolation=cv2.INTER_AREA))
    shift = (block - 1) / 2  # the middle of a block, whose first pixel is at 0
    back = np.array(
        [[block, 0, across.start + shift], [0, block, down.start + shift], [0, 0, 1]], np.float64
    )
    return small, matrix @ back


def in_blocks(span: slice, block: int) -> slice:
    """A span shortened to whole blocks: at its end if it starts at 0, else at its start. Only
    margin is lost, except where the span is a whole side of the image."""
    rest = (span.stop - span.start) % block
    if span.start == 0:
        return slice(0, span.stop - rest)
    return slice(span.start + rest, span.stop)


def inverted(matrix: Affine) -> Affine:
    """The inverse, by the steps and in the order of `cv2.warpAffine`; zeros where there is none."""
    (a, b, x), (c, d, y) = matrix
    determinant = a * d - b * c
    scale = 1 / determinant if determinant else 0.0
    a, b, c, d = d * scale, -b * scale, -c * scale, a * scale
    return np.array([[a, b, -a * x - b * y], [c, d, -c * x - d * y]])


class AlignedFace(NamedTuple):
    """The ArcFace crop of a face, uint8 [112, 112, 3], and the image and matrix it was cut with."""

    crop: Image
    image: Image
    matrix: Affine


def align(
    image: Image, landmarks: NDArray[np.float32], alignment: Alignment = "insightface"
) -> AlignedFace | None:
    """Align the face of `landmarks`, float32 [5, 2] in pixels. The image and matrix of the result
    are what `averaged` returns if `alignment` is "antialiased".

    None if the landmarks all coincide or are not finite: that face cannot be embedded.
    """
    matrix = similarity(landmarks, ARCFACE_TEMPLATE)
    if matrix is None:
        return None
    if alignment == "antialiased":
        image, matrix = averaged(image, matrix, ARCFACE_SIZE)
    return AlignedFace(crop(image, matrix, ARCFACE_SIZE), image, matrix)


def align_face(
    image: Image, landmarks: NDArray[np.float32], alignment: Alignment = "insightface"
) -> Image | None:
    """The crop that `align` makes; None where it returns None."""
    aligned = align(image, landmarks, alignment)
    return None if aligned is None else aligned.crop


def without_aliasing(face: AlignedFace) -> AlignedFace:
    """The same face as "antialiased" aligns it."""
    image, matrix = averaged(face.image, face.matrix, ARCFACE_SIZE)
    if image is face.image:
        return face
    return AlignedFace(crop(image, matrix, ARCFACE_SIZE), image, matrix)
