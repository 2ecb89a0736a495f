#!/usr/bin/env bash
# OpenCV tone-maps an HDR video, PyAV does not: the same grey is 183 in one and 127 in the other.
#
# Versions: opencv-python-headless 4.14.0.94, PyAV 18.1.0 (both bring FFmpeg 8's libraries, avcodec 62.28.102).
# Behaviour: for a video tagged BT.2020 and PQ (SMPTE ST 2084) cv2.VideoCapture gives BT.709 pixels; PyAV's to_ndarray
# and FFmpeg's own command convert the matrix alone and leave the PQ curve in the pixels. Tagged BT.709, the same samples
# come out alike. Embeddings of faces from the two differ accordingly.
# Guess: both wrap the same libraries, convert the matrix, and give the same pixels.
# Seen, the middle pixel (B, G, R):
#   BT.709: OpenCV [128, 126, 128], PyAV [127, 127, 127]
#   PQ: OpenCV [183, 183, 183], PyAV [127, 127, 127]
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check opencv-python-headless==4.14.0.94 numpy==2.4.6 av==18.1.0
cd "$scratch"
venv/bin/python - <<'PYTHON'
import sys

import av
import cv2
import numpy as np

WIDTH, HEIGHT = 320, 192
LIMITED_RANGE = 1
# primaries, transfer and matrix as numbered in ITU-T H.273
TAGS = {"BT.709": (1, 1, 1), "PQ": (9, 16, 9)}


def tag(target, primaries, transfer, matrix):
    target.color_primaries, target.color_trc, target.colorspace = primaries, transfer, matrix
    target.color_range = LIMITED_RANGE


def write(path, tags):
    with av.open(path, "w") as file:
        stream = file.add_stream("libx265", rate=25, options={"x265-params": "log-level=error"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p10le"
        tag(stream.codec_context, *tags)
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p10le")
        for plane, value in zip(frame.planes, (502, 512, 512)):  # half grey
            plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
        tag(frame, *tags)
        for frame.pts in range(3):
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


seen = {}
for name, tags in TAGS.items():
    path = f"{name}.mp4"
    write(path, tags)
    opencv = cv2.VideoCapture(path).read()[1]
    with av.open(path) as file:
        pyav = next(file.decode(video=0)).to_ndarray(format="bgr24")
    middle = HEIGHT // 2, WIDTH // 2
    print(f"{name}: OpenCV {opencv[middle].tolist()}, PyAV {pyav[middle].tolist()}")
    seen[name] = float(opencv.mean()) - float(pyav.mean())
expected = abs(seen["BT.709"]) < 4 and seen["PQ"] > 30
sys.exit(0 if expected else "The behaviour has changed.")
PYTHON
