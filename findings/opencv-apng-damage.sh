#!/usr/bin/env bash
# A damaged first frame of an animated PNG is a picture to OpenCV; the same data in a plain PNG are none.
#
# Versions: opencv-python-headless 4.14.0.94, pillow 13.0.0.
# Behaviour: of a PNG with an animation the checksums of the chunks are not looked at: bytes changed near the end of the
# first frame's pixels give a picture with other rows at its end. Without the animation cv2.imdecode gives None.
# Guess: None for both, for the chunks are the same.
# Seen:
#   plain: None
#   animated: a picture, 64 of its pixels others
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  opencv-python-headless==4.14.0.94 numpy==2.4.6 pillow==13.0.0
cd "$scratch"
venv/bin/python - <<'PYTHON' 2>/dev/null
import io
import sys

import cv2
import numpy as np
import PIL.Image

image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
first, second = (PIL.Image.fromarray(np.ascontiguousarray(each[:, :, ::-1])) for each in (image, image[::-1]))
seen = []
for name, options in (("plain", {}), ("animated", {"save_all": True, "append_images": [second]})):
    out = io.BytesIO()
    first.save(out, "PNG", **options)
    data = bytearray(out.getvalue())
    pixels = data.index(b"IDAT")
    end = pixels + 4 + int.from_bytes(data[pixels - 4 : pixels])
    data[end - 124 : end - 120] = b"\x11\x22\x33\x44"
    found = cv2.imdecode(np.frombuffer(bytes(data), np.uint8), cv2.IMREAD_COLOR)
    seen.append(None if found is None else int((found != image).any(axis=2).sum()))
    print(f"{name}: {'None' if found is None else f'a picture, {seen[-1]} of its pixels others'}")
plain, animated = seen
sys.exit(0 if plain is None and animated else "The behaviour has changed.")
PYTHON
