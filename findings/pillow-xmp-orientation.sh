#!/usr/bin/env bash
# Pillow turns a JPEG by what its XMP says; OpenCV does not.
#
# Versions: Pillow 13.0.0, opencv-python-headless 4.14.0.94.
# Behaviour: where Exif has no orientation, Pillow's getexif() takes tiff:Orientation out of the XMP packet and reports
# it as Exif's tag 274, so ImageOps.exif_transpose turns the picture; whether there is an Exif segment does not
# matter. cv2.imdecode looks into Exif alone. The same file stands upright in one and lies in the other.
# Guess: getexif() reports what is in the Exif segment, and both leave the picture as it is.
# Seen, a picture of 64x32, tiff:Orientation="6":
#   XMP alone: getexif {274: 6}, Pillow 32x64, OpenCV 64x32
#   XMP, Exif without orientation: getexif {305: 'editor', 274: 6}, Pillow 32x64, OpenCV 64x32
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

XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>
</rdf:RDF></x:xmpmeta>"""
software = Image.Exif()
software[0x0131] = "editor"
seen = []
for name, exif in {"XMP alone": None, "XMP, Exif without orientation": software}.items():
    file = io.BytesIO()
    Image.new("RGB", (64, 32)).save(file, "JPEG", xmp=XMP, **({"exif": exif} if exif else {}))
    image = Image.open(file)
    tags = {int(number): value for number, value in image.getexif().items()}
    width, height = ImageOps.exif_transpose(image).size
    rows, columns = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR).shape[:2]
    print(f"{name}: getexif {tags}, Pillow {width}x{height}, OpenCV {columns}x{rows}")
    seen.append((tags.get(274), (width, height), (columns, rows)))
sys.exit(0 if seen == [(6, (32, 64), (64, 32))] * 2 else "The behaviour has changed.")
PYTHON
