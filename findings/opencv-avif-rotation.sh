#!/usr/bin/env bash
# OpenCV shows an AVIF lying on its side: it obeys Exif's orientation, which an AVIF by Pillow has not.
#
# Versions: opencv-python-headless 4.14.0.94, Pillow 13.0.0.
# Behaviour: AVIF keeps a rotation in the container (the boxes irot and imir). Pillow writes it there when it is
# given an Exif orientation, and applies it when it reads. cv2.imdecode applies Exif's orientation in JPEG, PNG,
# WebP and TIFF, and neither of the two boxes in AVIF.
# Guess: cv2.imdecode turns all five formats upright; it promises so for IMREAD_COLOR.
# Seen, height x width:
#   JPEG: OpenCV 64x32, Pillow 64x32
#   PNG: OpenCV 64x32, Pillow 64x32
#   WEBP: OpenCV 64x32, Pillow 64x32
#   TIFF: OpenCV 64x32, Pillow 64x32
#   AVIF: OpenCV 32x64, Pillow 64x32
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
from PIL import Image, ImageOps

lying = Image.new("RGB", (64, 32), "red")
orientation = Image.Exif()
orientation[0x0112] = 6
turned = {}
for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
    file = io.BytesIO()
    lying.save(file, kind, exif=orientation)
    width, height = ImageOps.exif_transpose(Image.open(file)).size
    rows, columns = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR).shape[:2]
    print(f"{kind}: OpenCV {rows}x{columns}, Pillow {height}x{width}")
    turned[kind] = (rows > columns, height > width)
same = all(turned[kind] == (True, True) for kind in ("JPEG", "PNG", "WEBP", "TIFF"))
sys.exit(0 if same and turned["AVIF"] == (False, True) else "The behaviour has changed.")
PYTHON
