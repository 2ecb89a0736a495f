#!/usr/bin/env bash
# 16-bit grey in tiles is mixed up at the picture's right edge once OpenCV makes 8 bits of it.
#
# Versions: opencv-python-headless 4.14.0.94, tifffile 2026.3.3.
# Behaviour: with cv2.IMREAD_COLOR the part of a tile that the picture's edge leaves is read as if the tile's rows were no
# longer than that part; with cv2.IMREAD_ANYDEPTH it is right.
# Guess: the same picture each time.
# Seen, mean difference from the picture in levels of 255:
#   IMREAD_COLOR: 24.6
#   IMREAD_COLOR | IMREAD_ANYDEPTH: 0.0
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  opencv-python-headless==4.14.0.94 numpy==2.4.6 tifffile==2026.3.3
cd "$scratch"
venv/bin/python - <<'PYTHON'
import io
import sys

import cv2
import numpy as np
import tifffile

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
grey = np.random.default_rng(0).integers(0, 255, (96, 128), np.uint8)
out = io.BytesIO()
tifffile.imwrite(out, grey.astype(np.uint16) * 257, tile=(48, 48), photometric="minisblack", compression="zlib")
seen = []
for name, flags in (
    ("IMREAD_COLOR", cv2.IMREAD_COLOR),
    ("IMREAD_COLOR | IMREAD_ANYDEPTH", cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH),
):
    found = cv2.imdecode(np.frombuffer(out.getvalue(), np.uint8), flags)[:, :, 0]
    levels = found >> 8 if found.dtype == np.uint16 else found
    seen.append(round(float(np.abs(levels.astype(int) - grey).mean()), 1))
    print(f"{name}: {seen[-1]}")
sys.exit(0 if seen[0] > 1 and seen[1] == 0 else "The behaviour has changed.")
PYTHON
