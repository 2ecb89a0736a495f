"""Video clips of photos of people, made by FFmpeg."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

RATE = 10
WIDTH, HEIGHT = 640, 360


@dataclass(frozen=True)
class Scene:
    """So many seconds of these photos beside each other; without any, of a wall."""

    seconds: int
    photos: tuple[Path, ...] = ()
    travel: int = 0
    """Pixels by which the camera moves in that time."""


@dataclass(frozen=True)
class Encoding:
    """How a clip is written: filters from full-range RGB, then the encoder's arguments."""

    name: str
    filters: str
    encoder: Sequence[str]
    scale: int = 1
    """Pictures handed in for each of the clip: two for one of two fields."""


LINES = "zscale=rin=pc:min=gbr:tin=bt709:pin=709:m={m}:t=bt709:p=709:r=tv,format=yuv420p"
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18")
PLAIN = Encoding("clip.mp4", LINES.format(m="170m"), X264)
BT709 = Encoding(
    "bt709.mkv",
    LINES.format(m="709"),
    [*X264, "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"],
)
INTERLACED = Encoding(
    "interlaced.ts",
    "format=yuv420p,tinterlace=mode=interleave_top,fieldorder=tff",
    ["-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-q:v", "3"],
    scale=2,
)
UNMARKED, UNMARKED_BOTTOM = (
    Encoding(
        f"unmarked-{first}.mp4",
        f"format=yuv420p,tinterlace=mode=interleave_{first},setfield=prog",
        X264,
        scale=2,
    )
    for first in ("top", "bottom")
)
"""Fields in a file that says it has none."""
HDR = Encoding(
    "hdr.mp4",
    "zscale=rin=pc:min=gbr:tin=iec61966-2-1:pin=709:p=709:t=linear:npl=203,format=gbrpf32le,"
    "zscale=p=2020:t=smpte2084:m=2020_ncl:r=tv:npl=203,format=yuv420p10le",
    [
        *("-c:v", "libx265", "-x265-params", "log-level=error", "-preset", "ultrafast"),
        *("-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", "smpte2084"),
    ],
)


def write_clip(folder: Path, scenes: Sequence[Scene], encoding: Encoding = PLAIN) -> Path:
    """A clip of scenes, cut hard."""
    path = folder / encoding.name
    rate = str(RATE * encoding.scale)
    source = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{WIDTH}x{HEIGHT}", "-r", rate]
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-y",
        *source,
        "-i",
        "-",
        "-vf",
        f"format=gbrp,{encoding.filters}",
    ]
    with subprocess.Popen([*command, *encoding.encoder, path], stdin=subprocess.PIPE) as ffmpeg:
        assert ffmpeg.stdin
        for picture in pictures(scenes, RATE * encoding.scale):
            ffmpeg.stdin.write(picture.tobytes())
    assert ffmpeg.returncode == 0, f"FFmpeg cannot write {encoding.name}"
    return path


def needs_x265(ffmpeg: str) -> None:
    """Skips where FFmpeg cannot write HDR."""
    encoders = subprocess.run([ffmpeg, "-v", "error", "-encoders"], capture_output=True, text=True)
    if "libx265" not in encoders.stdout:
        pytest.skip("this ffmpeg has no libx265, which writes the HDR clip")


def rotated(clip: Path) -> Path:
    """The clip lying on its side, with a display matrix that says so."""
    lying, path = clip.with_name("lying.mp4"), clip.with_name("rotated.mp4")
    for command in (
        ["-i", clip, "-vf", "transpose=clock", *X264, lying],
        # Counter-clockwise by 270 degrees, as FFmpeg 5 to 9 all write it.
        ["-i", lying, "-c", "copy", "-metadata:s:v", "rotate=90", path],
    ):
        subprocess.run(["ffmpeg", "-v", "error", "-y", *command], check=True)
    return path


def pictures(scenes: Sequence[Scene], rate: int) -> Iterator[NDArray[np.uint8]]:
    """Every frame, as BGR."""
    for scene in scenes:
        faces = [cv2.resize(cv2.imread(str(photo)), (250, 250)) for photo in scene.photos]
        for n in range(scene.seconds * rate):
            frame = np.full((HEIGHT, WIDTH, 3), 96, np.uint8)
            for place, face in enumerate(faces):
                left = 20 + place * 320 + n * scene.travel // (scene.seconds * rate)
                frame[60 : 60 + 250, left : left + 250] = face
            yield frame
