#!/usr/bin/env bash
# A valid PNG with a long comment cannot be opened by Pillow, though nobody asked for the comment.
#
# Versions: Pillow 13.0.0, opencv-python-headless 4.14.0.94.
# Behaviour: Pillow unpacks the compressed text and the colour profile that stand before the pixels while it reads the
# header, and raises ValueError where one of them is longer than PngImagePlugin.MAX_TEXT_CHUNK (1 MiB): Image.open
# fails, with an exception that is no UnidentifiedImageError and no OSError. OpenCV reads the pixels. The bound is there
# on purpose; that it refuses the picture, and the class of the exception, are what surprises.
# Guess: Image.open gives the size and leaves the comment alone.
# Seen:
#   zTXt of 1048576 characters: Pillow (4, 4), OpenCV (4, 4, 3)
#   zTXt of 1048577 characters: Pillow ValueError: Decompressed data too large for PngImagePlugin.MAX_TEXT_CHUNK, OpenCV (4, 4, 3)
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
import zlib

import cv2
import numpy as np
from PIL import Image

SIGNATURE_AND_IHDR = 8 + 25
LIMIT = 1024 * 1024
plain = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()


def with_text(length):
    body = b"zTXt" + b"Comment\0\0" + zlib.compress(b"a" * length)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return plain[:SIGNATURE_AND_IHDR] + chunk + plain[SIGNATURE_AND_IHDR:]


seen = []
for length in (LIMIT, LIMIT + 1):
    data = with_text(length)
    try:
        pillow = Image.open(io.BytesIO(data)).size
    except Exception as error:
        pillow = f"{type(error).__name__}: {error}"
    opencv = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape
    print(f"zTXt of {length} characters: Pillow {pillow}, OpenCV {opencv}")
    seen.append((str(pillow).split(":")[0], opencv))
expected = [("(4, 4)", (4, 4, 3)), ("ValueError", (4, 4, 3))]
sys.exit(0 if seen == expected else "The behaviour has changed.")
PYTHON
