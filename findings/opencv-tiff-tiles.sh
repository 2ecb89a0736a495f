#!/usr/bin/env bash
# OpenCV refuses a TIFF in uncompressed tiles unless the bytes of a tile are a multiple of 1,024.
#
# Versions: opencv-python-headless 4.14.0.94, tifffile 2026.3.3.
# Behaviour: cv2.imdecode gives None: libtiff compares the size of the tile with that of its own buffer, which is rounded up
# ("Invalid tile byte count"). Compressed tiles of any size are read.
# Guess: the same picture each time.
# Seen, mean difference from the picture in levels of 255:
#   uncompressed, 64x64: 0.0
#   uncompressed, 48x48: None
#   Deflate, 48x48: 0.0
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
seen = []
for name, side, compression in (("uncompressed", 64, None), ("uncompressed", 48, None), ("Deflate", 48, "zlib")):
    out = io.BytesIO()
    tifffile.imwrite(out, grey, tile=(side, side), photometric="minisblack", compression=compression)
    found = cv2.imdecode(np.frombuffer(out.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    seen.append(None if found is None else round(float(np.abs(found[:, :, 0].astype(int) - grey).mean()), 1))
    print(f"{name}, {side}x{side}: {seen[-1]}")
sys.exit(0 if seen == [0.0, None, 0.0] else "The behaviour has changed.")
PYTHON
