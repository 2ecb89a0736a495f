#!/usr/bin/env bash
# FFmpeg's JPEG frames begin well and lose nine tenths of their bytes within ten frames; -q:v 1 changes nothing.
#
# Versions: FFmpeg 7.0.2 (imageio-ffmpeg 0.6.0); 9.0.2 (0.8.1) the same within 0.1 %.
# Behaviour: without -q:v the MJPEG encoder aims at 200 kbit/s, as for a video. The first frames are spared, so a look at
# f_001.jpg, or at one frame of -frames:v 1, tells nothing of the rest. -q:v 2 is even and good; -q:v 1 is raised to
# the encoder's qmin of 2 and gives the same file.
# Guess: all files have about the same quality, as with any program that writes JPEGs; -q:v 1 is better than 2.
# Seen, a busy picture of 1280x720, bytes:
#   default: frame 1 227051, frame 10 25379, frame 40 25394
#   -q:v 2: frame 1 536780, frame 10 537967, frame 40 539692
#   -q:v 1 and -q:v 2: the same file: True
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check imageio-ffmpeg==0.6.0
cd "$scratch"
venv/bin/python - <<'PYTHON'
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg

SOURCE = "testsrc2=size=1280x720:rate=1:duration=40,noise=alls=20:allf=t:all_seed=1"


def frames(name, *options):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", SOURCE, *options]
    subprocess.run([*command, f"{name}_%d.jpg"], check=True)
    return {number: Path(f"{name}_{number}.jpg").stat().st_size for number in (1, 10, 40)}


seen = {}
for name, options in {"default": (), "-q:v 2": ("-q:v", "2")}.items():
    seen[name] = frames("q2" if options else "default", *options)
    print(f"{name}:", ", ".join(f"frame {number} {size}" for number, size in seen[name].items()))
frames("q1", "-q:v", "1")
same = Path("q1_1.jpg").read_bytes() == Path("q2_1.jpg").read_bytes()
print("-q:v 1 and -q:v 2: the same file:", same)
falls = seen["default"][40] < seen["default"][1] / 5
steady = seen["-q:v 2"][40] > seen["-q:v 2"][1] * 0.9
sys.exit(0 if falls and steady and same else "The behaviour has changed.")
PYTHON
