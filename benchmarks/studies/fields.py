"""What FFmpeg's `idet` says of frames that are of two fields and of frames that are of one moment.

    .venv/bin/python -m benchmarks.studies.fields

The camera moves over photos in eight ways, in two heights of picture; each is written progressive,
interlaced without saying so, and, where it moves sideways, as 24 pictures a second in 60 fields
(telecine). Counts are of the 36 frames that `find_fields` looks at.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.frames import frame
from face_service.runtime.processor import in_words, processor
from face_service.video.fields import find_fields, seen_in
from face_service.video.opening import opened

SECONDS = 24
MOVES = {
    "in a circle": "crop=iw-64:ih-36:x=32+32*sin(t):y=18+18*cos(t)",
    "in a circle, fast": "crop=iw-64:ih-36:x=32+32*sin(5*t):y=18+18*cos(5*t)",
    "down, 7 pixels a second": "crop=iw-64:ih-216:x=32:y=mod(7*t\\,200)",
    "down, 30": "crop=iw-64:ih-216:x=32:y=mod(30*t\\,200)",
    "down, 150": "crop=iw-64:ih-216:x=32:y=mod(150*t\\,200)",
    "sideways, 15": "crop=iw-216:ih-36:x=mod(15*t\\,200):y=18",
    "sideways, 60": "crop=iw-216:ih-36:x=mod(60*t\\,200):y=18",
    "shaking": "crop=iw-64:ih-36:x=32+3*random(1):y=18+3*random(2)",
}
PROGRESSIVE = "fps=25,{move},{size}"
INTERLACED = "fps=50,{move},{size},tinterlace=mode=interleave_top,setfield=prog"
TELECINE = "fps=24,{move},{size},telecine=first_field=top,setfield=prog"
"""Filters, from photos of 1920×1080 on."""


def write(path: Path, stills: bytes, filters: str) -> None:
    source = ["-f", "image2pipe", "-framerate", "1/4", "-c:v", "mjpeg", "-i", "-"]
    encoder = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20"]
    command = ["ffmpeg", "-v", "error", "-y", *source, "-vf", filters, *encoder, path]
    subprocess.run(command, input=stills, check=True)


def main() -> None:
    stills = b"".join(frame((n + 1) % 3, n) for n in range(SECONDS // 4))
    print(f"{in_words(processor())}\n")
    print("| frames | lines | the camera moves | tff | bff | progressive | taken for |")
    print("|---|---|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        for kind, filters in (
            ("progressive", PROGRESSIVE),
            ("interlaced", INTERLACED),
            ("telecine", TELECINE),
        ):
            for lines in (1080, 360):
                size = f"zscale=w={lines * 16 // 9}:h={lines},format=yuv420p"
                for name, move in MOVES.items():
                    if kind == "telecine" and not name.startswith("sideways"):
                        continue
                    write(path, stills, filters.format(move=move, size=size))
                    with opened(path) as (file, stream):
                        seen = seen_in(file, stream)
                        counts = [seen[order] for order in ("tff", "bff", "progressive")]
                        row = [kind, lines, name, *counts, find_fields(file, stream).value]
                    print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main()
