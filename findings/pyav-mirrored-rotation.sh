#!/usr/bin/env bash
# PyAV says of a mirrored video that it is turned by 180 degrees: whoever turns it has it upside down.
#
# Versions: PyAV 18.1.0; FFmpeg 7.0.2 (imageio-ffmpeg 0.6.0) to compare with.
# Behaviour: a display matrix that mirrors left and right, as some front cameras write, has `VideoFrame.rotation` -180 (the
# angle is taken from two of its four numbers). FFmpeg mirrors the picture and turns nothing. frame.side_data has the matrix.
# Guess: the rotation is 0, and that the picture is mirrored is lost.
# Seen, a picture whose upper left corner is white:
#   rotation: -180
#   corner after FFmpeg: upper right; after turning by the rotation: lower right
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check numpy==2.4.6 av==18.1.0 imageio-ffmpeg==0.6.0
cd "$scratch"
venv/bin/python - <<'PYTHON'
import subprocess
import sys

import av
import imageio_ffmpeg
import numpy as np

SIDE = 64
picture = np.zeros((SIDE, SIDE, 3), np.uint8)
picture[: SIDE // 2, : SIDE // 2] = 255
with av.open("mirrored.mp4", "w") as file:
    stream = file.add_stream("libx264", rate=25)
    stream.width = stream.height = SIDE
    stream.pix_fmt = "yuv420p"
    stream.set_display_rotation(0, hflip=True)
    frame = av.VideoFrame.from_ndarray(picture, "rgb24")
    frame.pts = 0
    file.mux(stream.encode(frame))
    file.mux(stream.encode())


def corner(image):
    row, column = np.unravel_index(image[8::48, 8::48, 0].argmax(), (2, 2))
    return ("upper ", "lower ")[row] + ("left", "right")[column]


with av.open("mirrored.mp4") as file:
    frame = next(file.decode(video=0))
turned = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", "mirrored.mp4"]
raw = subprocess.run(
    [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, capture_output=True
).stdout
shown = np.frombuffer(raw, np.uint8).reshape(SIDE, SIDE, 3)
print("rotation:", frame.rotation)
print(f"corner after FFmpeg: {corner(shown)}; after turning by the rotation: {corner(turned)}")
sys.exit(0 if corner(shown) == "upper right" and corner(turned) == "lower right" else "The behaviour has changed.")
PYTHON
