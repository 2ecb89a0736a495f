#!/usr/bin/env bash
# OpenCV resizes an image 32,767 pixels wide, and refuses to warp it into a small crop.
#
# Versions: opencv-python-headless 4.14.0.94.
# Behaviour: cv2.warpAffine raises an error where a side of the source or of the result is 32,767 (SHRT_MAX) or more,
# though only 8x4 pixels of the source are wanted; cv2.resize and slices take the same image. A panorama that
# decodes and shrinks without complaint fails when a crop is cut from it.
# Guess: only the size of the result is bounded, if anything.
# Seen:
#   32766 wide: resize (4, 8, 3), warpAffine (4, 8, 3)
#   32767 wide: resize (4, 8, 3), warpAffine error: dst.cols < SHRT_MAX && dst.rows < SHRT_MAX && src.cols < SHRT_MAX && src.rows < SHRT_MAX
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check opencv-python-headless==4.14.0.94 numpy==2.4.6
cd "$scratch"
venv/bin/python - <<'PYTHON'
import sys

import cv2
import numpy as np

identity = np.float32([[1, 0, 0], [0, 1, 0]])
warped = {}
for width in (32766, 32767):
    image = np.zeros((4, width, 3), np.uint8)
    try:
        warped[width] = str(cv2.warpAffine(image, identity, (8, 4)).shape)
    except cv2.error as error:
        warped[width] = f"error: {error.err}"
    print(f"{width} wide: resize {cv2.resize(image, (8, 4)).shape}, warpAffine {warped[width]}")
expected = warped[32766] == "(4, 8, 3)" and "src.cols < SHRT_MAX" in warped[32767]
sys.exit(0 if expected else "The behaviour has changed.")
PYTHON
