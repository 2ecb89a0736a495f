#!/usr/bin/env bash
# PyAV opens no video whose title is not in UTF-8; FFmpeg's own programs do.
#
# Versions: PyAV 18.1.0; FFmpeg 9.0.2 (imageio-ffmpeg 0.8.1) is compared with.
# Behaviour: av.open decodes what is written beside the streams at once, and strictly: one byte of Latin-1 in an AVI's
# title is a UnicodeDecodeError, and not one of PyAV's own errors. With metadata_errors="replace" the video is read.
# Guess: the title is given as it can be, and the video is opened.
# Seen:
#   FFmpeg: 3 frames
#   av.open: UnicodeDecodeError
#   av.open, metadata_errors="replace": 3 frames
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check numpy==2.4.6 av==18.1.0 imageio-ffmpeg==0.8.1
cd "$scratch"
venv/bin/python - <<'PYTHON'
import re
import subprocess
import sys

import av
import imageio_ffmpeg

program = imageio_ffmpeg.get_ffmpeg_exe()
source = ["-f", "lavfi", "-i", "testsrc2=size=160x128:rate=25"]
subprocess.run(
    [program, "-v", "error", *source, "-frames:v", "3", "-c:v", "mjpeg", "-metadata", "title=cafe", "clip.avi"], check=True
)
with open("clip.avi", "rb") as file:
    data = file.read()
with open("clip.avi", "wb") as file:
    file.write(data.replace(b"cafe", "café".encode("latin-1")))
told = subprocess.run([program, "-i", "clip.avi", "-f", "null", "-"], check=True, capture_output=True).stderr
seen = [int(re.findall(rb"frame= *(\d+)", told)[-1])]
for options in ({}, {"metadata_errors": "replace"}):
    try:
        with av.open("clip.avi", **options) as file:
            seen.append(len(list(file.decode(video=0))))
    except ValueError as error:
        seen.append(type(error).__name__)
for name, found in zip(("FFmpeg", "av.open", 'av.open, metadata_errors="replace"'), seen):
    print(f"{name}: {found}{' frames' if isinstance(found, int) else ''}")
sys.exit(0 if seen == [3, "UnicodeDecodeError", 3] else "The behaviour has changed.")
PYTHON
