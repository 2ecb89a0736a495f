#!/usr/bin/env bash
# OpenCV reads floating-point samples of a TIFF in planes from the wrong place.
#
# Versions: opencv-python-headless 4.14.0.94, tifffile 2026.3.3.
# Behaviour: of a TIFF that keeps its samples in planes (PlanarConfiguration 2, "per channel" in Photoshop) 8 bits are
# read right. Floating point and, with IMREAD_ANYDEPTH, 16 bits are taken as if they were interleaved.
# Guess: the layout of the file does not show in the pixels.
# Seen:
#   8 bits: interleaved right, in planes right
#   16 bits: interleaved right, in planes wrong
#   floating point: interleaved right, in planes wrong
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

rgb = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
kinds = {"8 bits": rgb, "16 bits": rgb.astype(np.uint16) * 257, "floating point": (rgb / 255).astype(np.float32)}
seen = []
for name, values in kinds.items():
    off = []
    for planes in (False, True):
        file = io.BytesIO()
        stored = np.ascontiguousarray(values.transpose(2, 0, 1)) if planes else values
        layout = "separate" if planes else "contig"
        tifffile.imwrite(file, stored, photometric="rgb", planarconfig=layout)
        found = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        levels = found[:, :, ::-1] * (255 / values.dtype.type(values.max()).item() * rgb.max() / 255)
        off.append("right" if np.abs(levels - rgb).mean() < 1 else "wrong")  # no number is wrong
    print(f"{name}: interleaved {off[0]}, in planes {off[1]}")
    seen += off
sys.exit(0 if seen == ["right"] * 3 + ["wrong", "right", "wrong"] else "The behaviour has changed.")
PYTHON
