#!/usr/bin/env bash
# OpenCV's warpAffine takes INTER_AREA and does not average: it samples as INTER_LINEAR does.
#
# Versions: opencv-python-headless 4.14.0.94.
# Behaviour: cv2.warpAffine accepts the flag that cv2.resize averages with, and gives the bits of INTER_LINEAR, without an
# error or a warning. A crop that is cut and shrunk in one step is full of aliases, though its code asks for an area
# filter; insightface 2.1 cuts the squares of its face verifier so (model_zoo/face_verifier.py).
# Guess: it averages, as resize does; noise that is shrunk to an eighth loses most of its contrast.
# Seen:
#   resize INTER_AREA: contrast 9, resize INTER_LINEAR: 37
#   warpAffine INTER_AREA: contrast 37, equal to INTER_LINEAR: True
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

noise = np.random.default_rng(0).integers(0, 256, (512, 512)).astype(np.uint8)
eighth = np.array([[1 / 8, 0, -7 / 16], [0, 1 / 8, -7 / 16]])


def warped(flag: int) -> np.ndarray:
    return cv2.warpAffine(noise, eighth, (64, 64), flags=flag)


area, linear = (cv2.resize(noise, (64, 64), interpolation=one) for one in (cv2.INTER_AREA, cv2.INTER_LINEAR))
equal = np.array_equal(warped(cv2.INTER_AREA), warped(cv2.INTER_LINEAR))
print(f"resize INTER_AREA: contrast {area.std():.0f}, resize INTER_LINEAR: {linear.std():.0f}")
print(f"warpAffine INTER_AREA: contrast {warped(cv2.INTER_AREA).std():.0f}, equal to INTER_LINEAR: {equal}")
sys.exit(0 if equal and area.std() < linear.std() / 3 else "The behaviour has changed.")
PYTHON
