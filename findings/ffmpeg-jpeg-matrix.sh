#!/usr/bin/env bash
# Two common ways to give a JPEG the right colours: each works in one version of FFmpeg and does nothing in the other.
#
# Versions: FFmpeg 7.0.2 (imageio-ffmpeg 0.6.0) and 9.0.2 (imageio-ffmpeg 0.8.1), Pillow 13.0.0 reads.
# Behaviour: a frame of a BT.709 video becomes a JPEG with its BT.709 samples as they are, while every reader of JFIF takes
# them for BT.601: red turns from 251 to 231. scale=out_color_matrix=bt601 mends it in 9.0.2 and is ignored in 7.0.2,
# format=rgb24 mends it in 7.0.2 and not in 9.0.2, and neither says so. zscale=m=170m:r=pc works in both.
# Guess: FFmpeg converts for JPEG by itself; and if not, both filters work in every version.
# Seen, red of one pixel (PNG has no matrix: the right value):
#   7.0.2: PNG 251, JPEG 231, scale 231, rgb24 250, zscale 252
#   9.0.2: PNG 251, JPEG 231, scale 250, rgb24 228, zscale 252
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check pillow==13.0.0
cd "$scratch"
venv/bin/python - <<'PYTHON'
import subprocess
import sys
from pathlib import Path

from PIL import Image

OUTPUTS = {
    "PNG": ("png", "null"),
    "JPEG": ("jpg", "null"),
    "scale": ("jpg", "scale=out_color_matrix=bt601"),
    "rgb24": ("jpg", "format=rgb24"),
    "zscale": ("jpg", "zscale=m=170m:r=pc,format=yuvj420p"),
}
TAGS = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")


def reds(package):
    folder = Path(package)
    install = ["install", "--quiet", "--no-compile", "--disable-pip-version-check", "--no-deps", "--target"]
    subprocess.run([sys.executable, "-m", "pip", *install, folder, package], check=True)
    (ffmpeg,) = (folder / "imageio_ffmpeg" / "binaries").glob("ffmpeg-*")

    def run(*arguments):
        subprocess.run([ffmpeg, "-v", "error", "-y", *arguments], check=True)

    red = "color=c=red:s=1280x720:r=25:d=0.2"
    to_709 = ("-vf", "scale=out_color_matrix=bt709", "-pix_fmt", "yuv420p")
    run("-f", "lavfi", "-i", red, *to_709, "-c:v", "libx264", *TAGS, "red.mp4")
    seen = {}
    for name, (suffix, chain) in OUTPUTS.items():
        run("-i", "red.mp4", "-frames:v", "1", "-q:v", "2", "-vf", chain, f"{name}.{suffix}")
        seen[name] = Image.open(f"{name}.{suffix}").convert("RGB").getpixel((640, 360))[0]
    return seen


right = {}
for version, package in {"7.0.2": "imageio-ffmpeg==0.6.0", "9.0.2": "imageio-ffmpeg==0.8.1"}.items():
    seen = reds(package)
    print(f"{version}:", ", ".join(f"{name} {red}" for name, red in seen.items()))
    right[version] = {name for name, red in seen.items() if red > 242}
expected = {"7.0.2": {"PNG", "rgb24", "zscale"}, "9.0.2": {"PNG", "scale", "zscale"}}
sys.exit(0 if right == expected else "The behaviour has changed.")
PYTHON
