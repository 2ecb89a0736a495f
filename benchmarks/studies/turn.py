"""Heads that are turned: a photo draped over the mesh of its face, seen from another side."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from face_service.vision.blob import Image

SHIFT = 4
"""Fractional bits of the corners of triangles, for OpenCV."""

RIGID = {
    33: (-4.445859, 2.663991, 3.173422),
    133: (-1.856432, 2.585245, 3.757904),
    362: (1.856432, 2.585245, 3.757904),
    263: (4.445859, 2.663991, 3.173422),
    168: (0.0, 3.271027, 5.236015),
    6: (0.0, 2.473255, 5.788627),
    1: (0.0, -1.126865, 7.475604),
    4: (0.0, -0.463170, 7.586580),
    61: (-2.456206, -4.342621, 4.283884),
    291: (2.456206, -4.342621, 4.283884),
    10: (0.0, 8.261778, 4.481535),
    152: (0.0, -9.403378, 4.264492),
}
"""Vertices of MediaPipe's `canonical_face_model.obj`, y up: corners of the eyes, bridge and tip of
the nose, corners of the mouth, forehead, chin."""


def rotation_of(mesh: NDArray[np.floating]) -> NDArray[np.float64]:
    """How a mesh [468, 3] is turned against the canonical face: the rotation [3, 3] of the
    similarity that brings RIGID nearest to it (Umeyama)."""
    model = np.array(list(RIGID.values())) * (1, -1, 1)
    seen = mesh[list(RIGID)].astype(np.float64)
    u, _, vt = np.linalg.svd((seen - seen.mean(axis=0)).T @ (model - model.mean(axis=0)))
    signs = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    turned: NDArray[np.float64] = u @ signs @ vt
    return turned


def rotation(yaw: float, pitch: float) -> NDArray[np.float64]:
    """A turn of the head as it stands in the picture, degrees: to the right edge, and up."""
    (y, p), cos, sin = np.radians((yaw, pitch)), np.cos, np.sin
    sideways = np.array([[cos(y), 0, sin(y)], [0, 1, 0], [-sin(y), 0, cos(y)]])
    upwards = np.array([[1, 0, 0], [0, cos(p), -sin(p)], [0, sin(p), cos(p)]])
    return sideways @ upwards


class Turned(NamedTuple):
    """A picture of a turned face, and its mesh there."""

    image: Image
    mesh: NDArray[np.float64]


def turn(
    photo: Image, mesh: NDArray[np.floating], triangles: NDArray[np.int_], by: NDArray[np.float64]
) -> Turned:
    """The face of a photo turned by a rotation [3, 3], before the blurred photo.

    Orthographic. What the photo does not show, the far side of a nose, is stretched from what it
    does; hair and ears are not there. So a turned face is to be compared with one turned by 0.
    """
    centre = mesh.mean(axis=0)
    moved = (mesh - centre) @ by.T + centre
    background = cv2.GaussianBlur(photo, (0, 0), photo.shape[0] / 12)
    corners = moved[triangles]
    flat = mesh[triangles][..., :2]
    side, front = area(*corners[..., :2].transpose(1, 0, 2)), area(*flat.transpose(1, 0, 2))
    which = np.full(photo.shape[:2], -1, np.int32)
    for index in np.argsort(corners[..., 2].mean(axis=1)):
        if side[index] * front[index] > 0:
            points = np.round(corners[index, :, :2] * 2**SHIFT).astype(np.int32)
            cv2.fillConvexPoly(which, points, int(index), shift=SHIFT)
    y, x = np.nonzero(which >= 0)
    index = which[y, x]
    # Barycentric coordinates of each pixel in its triangle, carried over to the photo.
    a, b, c = (corners[index, k, :2] for k in range(3))
    pixels = np.stack([x, y], axis=1)
    shares = np.stack([area(pixels, b, c), area(a, pixels, c)], axis=1) / area(a, b, c)[:, None]
    shares = np.clip(shares, -1, 2)
    shares = np.concatenate([shares, 1 - shares.sum(axis=1, keepdims=True)], axis=1)
    source = np.einsum("nk,nkd->nd", shares, flat[index]).astype(np.float32)
    taken = cv2.remap(photo, source[:, None, 0], source[:, None, 1], cv2.INTER_CUBIC)
    image = background
    image[y, x] = taken[:, 0]
    return Turned(image, moved)


def area(
    a: NDArray[np.floating], b: NDArray[np.floating], c: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Twice the signed area of triangles, from their corners [n, 2]."""
    (abx, aby), (acx, acy) = (b - a).T, (c - a).T
    found: NDArray[np.floating] = abx * acy - aby * acx
    return found
