#!/usr/bin/env bash
# PyAV converts HDR to SDR by an argument of which its documentation says that it converts nothing.
#
# Versions: PyAV 18.1.0.
# Behaviour: VideoFrame.reformat(dst_color_trc=…, dst_color_primaries=…) tone-maps the pixels (swscale's new code). The
# documentation of dst_color_trc: "This sets frame metadata only; it does not perform a pixel-level transfer function
# conversion." Without the argument the curve stays in the pixels (findings/opencv-hdr-video.sh).
# Guess: as documented, the pixels are the same with the argument and without.
# Seen, the middle pixel (B, G, R) of half grey in PQ:
#   documented as metadata only: True
#   without: [127, 127, 127], with: [183, 183, 183]
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check numpy==2.4.6 av==18.1.0
cd "$scratch"
venv/bin/python - <<'PYTHON'
import sys

import av
import numpy as np
from av.video.reformatter import VideoReformatter

WIDTH, HEIGHT = 64, 64
BT709 = 1
# primaries, transfer, matrix and range as numbered in ITU-T H.273: BT.2020 and PQ
frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p10le")
frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = 9, 16, 9, 1
for plane, value in zip(frame.planes, (502, 512, 512)):  # half grey
    plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())

documented = "sets frame metadata only" in " ".join(VideoReformatter.reformat.__doc__.split())
plain = frame.reformat(format="bgr24").to_ndarray()[32, 32].tolist()
mapped = frame.reformat(format="bgr24", dst_color_trc=BT709, dst_color_primaries=BT709)
mapped = mapped.to_ndarray()[32, 32].tolist()
print("documented as metadata only:", documented)
print(f"without: {plain}, with: {mapped}")
sys.exit(0 if documented and abs(plain[0] - mapped[0]) > 30 else "The behaviour has changed.")
PYTHON
