#!/usr/bin/env bash
# Times of frames go back and forth in an AVI with B-frames, by PyAV; FFmpeg's own go forward.
#
# Versions: PyAV 18.1.0; FFmpeg 7.0.2 (imageio-ffmpeg 0.6.0) makes the file and is compared with.
# Behaviour: the frames come in the right order, and frame.pts and frame.time are those of the order in which they were
# decoded. FFmpeg's programs use best_effort_timestamp, which PyAV does not offer; frame.dts goes forward as well.
# Guess: frame.time is the time at which FFmpeg shows the frame.
# Seen, the first eight, in hundredths of a second:
#   FFmpeg: [8, 12, 16, 20, 24, 28, 32, 36]
#   PyAV: [4, 12, 16, 8, 24, 28, 20, 36]
#   PyAV, dts: [8, 12, 16, 20, 24, 28, 32, 36]
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check numpy==2.4.6 av==18.1.0 imageio-ffmpeg==0.6.0
cd "$scratch"
venv/bin/python - <<'PYTHON'
import re
import subprocess
import sys

import av
import imageio_ffmpeg

program = imageio_ffmpeg.get_ffmpeg_exe()
source = ["-f", "lavfi", "-i", "testsrc2=size=160x128:rate=25:duration=2"]
subprocess.run([program, "-v", "error", *source, "-c:v", "libx264", "-bf", "2", "clip.avi"], check=True)
told = subprocess.run(
    [program, "-hide_banner", "-i", "clip.avi", "-vf", "showinfo", "-f", "null", "-"],
    check=True, capture_output=True, text=True,
).stderr
ffmpeg = [round(100 * float(time)) for time in re.findall(r" pts_time:([\d.]+)", told)][:8]
with av.open("clip.avi") as file:
    frames = list(file.decode(video=0))[:8]
pyav = [round(100 * frame.time) for frame in frames]
print("FFmpeg:", ffmpeg)
print("PyAV:", pyav)
print("PyAV, dts:", [round(100 * float(frame.dts * frame.time_base)) for frame in frames])
sys.exit(0 if ffmpeg == sorted(ffmpeg) and pyav != sorted(pyav) else "The behaviour has changed.")
PYTHON
