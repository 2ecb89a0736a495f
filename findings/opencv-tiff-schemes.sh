#!/usr/bin/env bash
# OpenCV gives a black picture, and no error, for a TIFF of a compression that it does not know.
#
# Versions: opencv-python-headless 4.14.0.94, tifffile 2026.3.3.
# Behaviour: a strip that cannot be decoded stays black, and cv2.imdecode returns the picture: its libtiff is told not to
# stop at errors. Schemes that libtiff knows but was built without (Zstandard) give None.
# Guess: None, as for any file that cannot be read.
# Seen, mean of a grey picture of 200:
#   no compression: 200
#   PNG (34933): 0
#   Zstandard (50000): None
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  opencv-python-headless==4.14.0.94 numpy==2.4.6 tifffile==2026.3.3
cd "$scratch"
venv/bin/python - <<'PYTHON'
import struct
import sys

import cv2
import numpy as np
import tifffile

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
image = np.full((64, 96), 200, np.uint8)


def tiff(compression, strip):
    """A directory of nine entries, and one strip."""
    tags = {256: 96, 257: 64, 258: 8, 259: compression, 262: 1, 273: 8 + 2 + 9 * 12 + 4, 277: 1, 278: 64, 279: len(strip)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + strip


files = {
    "no compression": tiff(1, image.tobytes()),
    "PNG (34933)": tiff(34933, cv2.imencode(".png", image)[1].tobytes()),
    "Zstandard (50000)": tiff(50000, b"\x28\xb5\x2f\xfd"),
}
seen = []
for name, data in files.items():
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    seen.append(None if found is None else round(float(found.mean())))
    print(f"{name}: {seen[-1]}")
with open("png.tif", "wb") as file:
    file.write(files["PNG (34933)"])
known = tifffile.TiffFile("png.tif").pages[0].compression.name  # it is a scheme that others know
sys.exit(0 if (seen, known) == ([200, 0, None], "PNG") else "The behaviour has changed.")
PYTHON
