#!/usr/bin/env bash
# OpenCV turns a TIFF by its orientation even when it is told not to.
#
# Versions: opencv-python-headless 4.14.0.94, Pillow 13.0.0.
# Behaviour: cv2.IMREAD_UNCHANGED and cv2.IMREAD_IGNORE_ORIENTATION leave a JPEG, PNG or WebP as it is stored, as the
# documentation says. A TIFF comes upright with either: its orientation is applied inside the TIFF decoder. Who reads
# as stored and turns by himself turns a TIFF twice.
# Guess: both flags give the stored 32x64 in all four formats.
# Seen, height x width (default, UNCHANGED, IGNORE_ORIENTATION):
#   JPEG: 64x32 32x64 32x64
#   PNG: 64x32 32x64 32x64
#   WEBP: 64x32 32x64 32x64
#   TIFF: 64x32 64x32 64x32
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check opencv-python-headless==4.14.0.94 numpy==2.4.6 pillow==13.0.0
cd "$scratch"
venv/bin/python - <<'PYTHON'
import io
import sys

import cv2
import numpy as np
from PIL import Image

flags = (cv2.IMREAD_COLOR, cv2.IMREAD_UNCHANGED, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
seen = {}
for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
    orientation = Image.Exif()
    orientation[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (64, 32), "red").save(file, kind, exif=orientation)
    data = np.frombuffer(file.getvalue(), np.uint8)
    seen[kind] = [cv2.imdecode(data, flag).shape[:2] for flag in flags]
    print(f"{kind}:", *(f"{rows}x{columns}" for rows, columns in seen[kind]))
stored, upright = (32, 64), (64, 32)
expected = dict.fromkeys(("JPEG", "PNG", "WEBP"), [upright, stored, stored]) | {"TIFF": [upright] * 3}
sys.exit(0 if seen == expected else "The behaviour has changed.")
PYTHON
