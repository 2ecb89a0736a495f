"""Five landmarks to the direction a head looks in.

A weak perspective camera shows the points X of a rigid head at s·R·X + t. The affine camera
that fits five landmarks best (least squares) is one product with a constant matrix; the
rotation nearest to it, by SVD, gives the angles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MEAN_FACE = np.array(
    [
        [-3.1511, -2.6246, 3.4657],
        [3.1511, -2.6246, 3.4657],
        [0.0, 0.7950, 7.5311],
        [-2.4562, 4.3426, 4.2839],
        [2.4562, 4.3426, 4.2839],
    ]
)
"""float64 [5, 3]: left eye, right eye, nose, mouth left, mouth right of a face that looks into the
camera, in centimetres: x to the right of the picture, y down, z towards the viewer. Vertices of
MediaPipe's `canonical_face_model.obj`: for an eye the middle of its corners (33 and 133), for the
nose the middle of 1 and 4, between which SCRFD's landmark lies, for the mouth 61."""

FIT = np.linalg.pinv(MEAN_FACE - MEAN_FACE.mean(axis=0))
"""float64 [3, 5]: landmarks about their mean to the affine camera that fits them best."""


class Pose(NamedTuple):
    """Where a head is turned, in degrees; all 0 looks straight into the camera.

    The head is first pitched, then yawed, then rolled: yaw > 0 turns it towards the right edge
    of the picture, pitch > 0 up, roll > 0 clockwise, and roll is the angle of the line through
    the eyes. yaw lies within ±90, the others within ±180.
    """

    yaw: float
    pitch: float
    roll: float


def head_pose(landmarks: NDArray[np.float32]) -> Pose:
    """The pose of a face from its landmarks, float32 [5, 2] in pixels, finite.

    Points that all lie on a line or coincide give angles that mean nothing.
    """
    points = landmarks.astype(np.float64)
    camera = (points - points.mean(axis=0)).T @ FIT.T
    u, _, vt = np.linalg.svd(camera, full_matrices=False)
    right, down = (u @ vt).tolist()
    (ax, ay, az), (bx, by, bz) = right, down
    return angles(right, down, (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx))


def angles(right: Sequence[float], down: Sequence[float], towards: Sequence[float]) -> Pose:
    """The angles of a rotation of MEAN_FACE, given as the three rows of its matrix."""
    yaw = -math.asin(min(1.0, max(-1.0, towards[0])))
    pitch = math.atan2(towards[1], towards[2])
    roll = math.atan2(down[0], right[0])
    return Pose(math.degrees(yaw), math.degrees(pitch), math.degrees(roll))
