#!/usr/bin/env bash
# The same red pixels and the same colour masks: red or blue, by the length of a BMP's header.
#
# Versions: opencv-python-headless 4.14.0.94, Pillow 13.0.0.
# Behaviour: a BMP of 32 bits with BI_BITFIELDS says in three masks where red, green and blue lie. With the header of
# 40 bytes the masks follow it, with that of 108 (BITMAPV4HEADER) they are part of it, at the same offset. OpenCV obeys
# them in the second and takes blue, green, red for granted in the first, without a word. Pillow refuses this order.
# Guess: masks are read the same way in both; red comes out red.
# Seen, one red pixel, red in the lowest byte:
#   header of 40 bytes: OpenCV (B, G, R) = (255, 0, 0); Pillow: Unsupported BMP bitfields layout
#   header of 108 bytes: OpenCV (B, G, R) = (0, 0, 255); Pillow: Unsupported BMP bitfields layout
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check opencv-python-headless==4.14.0.94 numpy==2.4.6 pillow==13.0.0
cd "$scratch"
venv/bin/python - <<'PYTHON'
import io
import struct
import sys

import cv2
import numpy as np
from PIL import Image

BI_BITFIELDS = 3
red = struct.pack("<I", 0x000000FF)
masks = struct.pack("<3I", 0x000000FF, 0x0000FF00, 0x00FF0000)


def bmp(header_size):
    header = struct.pack("<IiiHHIIiiII", header_size, 1, 1, 1, 32, BI_BITFIELDS, len(red), 0, 0, 0, 0) + masks
    header += bytes(max(0, header_size - len(header)))
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", start + len(red), 0, 0, start) + header + red


seen = {}
for header_size in (40, 108):
    data = bmp(header_size)
    seen[header_size] = tuple(map(int, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[0, 0]))
    try:
        pillow = Image.open(io.BytesIO(data)).convert("RGB").getpixel((0, 0))
    except OSError as error:
        pillow = error
    print(f"header of {header_size} bytes: OpenCV (B, G, R) = {seen[header_size]}; Pillow: {pillow}")
sys.exit(0 if seen == {40: (255, 0, 0), 108: (0, 0, 255)} else "The behaviour has changed.")
PYTHON
