#!/usr/bin/env bash
# The first picture of an animated PNG is red to Pillow and green to OpenCV.
#
# Versions: opencv-python-headless 4.14.0.94, Pillow 13.0.0.
# Behaviour: an APNG may hold a default image (IDAT before the first fcTL) that is no frame of the animation, for
# programs that know no animation. Pillow's Image.open gives that one, cv2.imdecode the first frame, though it returns
# a single picture. A header read by one and pixels read by the other describe two pictures.
# Guess: a function that returns one picture returns the default image, in both.
# Seen, default image red, frames green and blue:
#   Pillow (R, G, B) = (255, 0, 0)
#   OpenCV (R, G, B) = (0, 255, 0)
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

red, green, blue = (Image.new("RGB", (8, 8), name) for name in ("red", "lime", "blue"))
file = io.BytesIO()
red.save(file, "PNG", save_all=True, default_image=True, append_images=[green, blue])
pillow = Image.open(file).convert("RGB").getpixel((0, 0))
pixel = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR)[0, 0, ::-1]
opencv = tuple(map(int, pixel))
print("Pillow (R, G, B) =", pillow)
print("OpenCV (R, G, B) =", opencv)
sys.exit(0 if (pillow, opencv) == ((255, 0, 0), (0, 255, 0)) else "The behaviour has changed.")
PYTHON
