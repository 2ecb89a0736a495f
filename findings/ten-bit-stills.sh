#!/usr/bin/env bash
# White of 10 bits in an array of 16 is 1,023 from OpenCV's AVIF, and 65,472 from pillow-heif's HEIC.
#
# Versions: opencv-python-headless 4.14.0.94, pillow-heif 1.8.1, Pillow 13.0.0.
# Behaviour: OpenCV gives the samples of an AVIF as they are coded (0 to 1,023, or 4,095 for 12 bits), in a uint16 array
# like that of a 16-bit PNG, and nothing in it says so; pillow-heif shifts those of a HEIC to the left. Who divides by
# 65,535 has a black picture of the first, and 99.9 % white of the second.
# Guess: both are scaled to 65,535, as a PNG of 10 bits is (PNG has no 10 bits: encoders scale).
# Seen, largest sample of a white picture:
#   AVIF, 10 bits, OpenCV: uint16, 1022 or 1023
#   HEIC, 10 bits, pillow-heif: uint16, 65472
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check opencv-python-headless==4.14.0.94 numpy==2.4.6 pillow==13.0.0 pillow-heif==1.8.1
cd "$scratch"
venv/bin/python - <<'PYTHON'
import io
import sys

import cv2
import numpy as np
import pillow_heif

white = np.full((64, 64, 3), 1023, np.uint16)
avif = cv2.imencode(".avif", white, [cv2.IMWRITE_AVIF_DEPTH, 10])[1]
by_opencv = cv2.imdecode(avif, cv2.IMREAD_UNCHANGED)
print(f"AVIF, 10 bits, OpenCV: {by_opencv.dtype}, {by_opencv.max()}")
file = io.BytesIO()
pillow_heif.from_bytes("RGB;16", (64, 64), (white << 6).tobytes()).save(file, quality=90)
opened = pillow_heif.open_heif(file.getvalue(), convert_hdr_to_8bit=False)
by_libheif = np.array(opened)
print(f"HEIC, 10 bits, pillow-heif: {by_libheif.dtype}, {by_libheif.max()}")
same = by_opencv.dtype == by_libheif.dtype == np.uint16
sys.exit(0 if same and by_opencv.max() in (1022, 1023) and by_libheif.max() == 65472 else "The behaviour has changed.")
PYTHON
