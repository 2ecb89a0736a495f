#!/usr/bin/env bash
# Saving an AVIF takes the orientation out of the Exif object that the caller gave: the next file lies on its side.
#
# Versions: Pillow 13.0.0.
# Behaviour: AVIF keeps a rotation in the container, so Pillow removes it from the Exif it writes; it does so in the
# caller's own Image.Exif. Every other format leaves the object alone. Who saves one picture in several formats, or a row
# of pictures with one Exif object, loses the orientation of all that come after the first AVIF.
# Guess: save() does not change its arguments.
# Seen, orientation in the object after save():
#   JPEG: 6
#   PNG: 6
#   WEBP: 6
#   TIFF: 6
#   AVIF: None
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check pillow==13.0.0
cd "$scratch"
venv/bin/python - <<'PYTHON'
import io
import sys

from PIL import Image

seen = {}
for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
    orientation = Image.Exif()
    orientation[0x0112] = 6
    Image.new("RGB", (64, 32)).save(io.BytesIO(), kind, exif=orientation)
    seen[kind] = orientation.get(0x0112)
    print(f"{kind}: {seen[kind]}")
expected = dict.fromkeys(("JPEG", "PNG", "WEBP", "TIFF"), 6) | {"AVIF": None}
sys.exit(0 if seen == expected else "The behaviour has changed.")
PYTHON
