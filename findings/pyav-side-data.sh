#!/usr/bin/env bash
# A frame whose side data PyAV was asked for is freed only when Python collects garbage, and its pixels with it.
#
# Versions: PyAV 18.1.0.
# Behaviour: frame.side_data is kept at the frame, and refers to the frame: a circle. Frames are few objects of many bytes, so
# Python, which counts objects, collects them late: a hundred frames of 1080p are 310 MB. A container that is made by the caller
# (av.sidedata.sidedata.SideDataContainer(frame)) reads the same, and is in no circle.
# Guess: the frame is freed when nothing refers to it any more, as it is when nobody asks for its side data.
# Seen, frames of a clip of 100 that are still there when its last is dropped, without a collection:
#   nobody asks: 0
#   frame.side_data: 100
#   SideDataContainer(frame): 0
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check numpy==2.4.6 av==18.1.0
cd "$scratch"
venv/bin/python - <<'PYTHON'
import gc
import sys

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer

FRAMES = 100
with av.open("clip.mp4", "w") as file:
    stream = file.add_stream("libx264", rate=25)
    stream.width = stream.height = 64
    stream.pix_fmt = "yuv420p"
    for number in range(FRAMES):
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number, np.uint8), "rgb24")
        frame.pts = number
        file.mux(stream.encode(frame))
    file.mux(stream.encode())
del frame


def left(ask):
    """How many frames of the clip are left after each was dropped."""
    gc.collect()
    gc.disable()
    with av.open("clip.mp4") as file:
        for frame in file.decode(video=0):
            ask(frame)
    del frame
    found = sum(type(each).__name__ == "VideoFrame" for each in gc.get_objects())
    gc.enable()
    return found


seen = [left(lambda _: None), left(lambda frame: frame.side_data), left(SideDataContainer)]
for name, number in zip(("nobody asks", "frame.side_data", "SideDataContainer(frame)"), seen):
    print(f"{name}: {number}")
sys.exit(0 if seen == [0, FRAMES, 0] else "The behaviour has changed.")
PYTHON
