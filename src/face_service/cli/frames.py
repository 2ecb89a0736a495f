"""`face-service frames`: the frames of a video as pictures."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from face_service.cli.shared import Every, examples

EPILOG = examples(
    ("A frame a second, as frames/00000000.jpg, frames/00001000.jpg and so on:", "frames clip.mp4"),
    ("A frame each half second without loss:", "frames clip.mp4 --every 500ms --format png"),
    after="The name of a picture is the time of its frame, in milliseconds. `face-service detect "
    "clip.mp4` finds the faces without pictures between.",
)


class PictureFormat(StrEnum):
    """The formats in which pictures are written, by their suffixes."""

    JPEG = "jpg"
    PNG = "png"


def frames(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", show_default=False)],
    every: Every = "1s",
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Write the pictures below this folder.")
    ] = Path("frames"),
    picture: Annotated[
        PictureFormat, typer.Option("--format", help="`jpg` of quality 95, or `png`.")
    ] = PictureFormat.JPEG,
) -> None:
    """Write one frame of each interval of a video: upright, deinterlaced, HDR as SDR.

    Needs PyAV.
    """
    from tqdm import tqdm

    from face_service.cli.videos import as_milliseconds, write_frames
    from face_service.config import load_settings
    from face_service.errors import FaceServiceError, RequestError

    settings = load_settings()
    interval = as_milliseconds(every)
    written = write_frames(video, interval, out, f".{picture}", settings.max_image_pixels)
    last, number = None, 0
    try:
        for path, image in tqdm(written, unit="frame", leave=False, disable=None, file=sys.stderr):
            last, number = (path, image.shape), number + 1
    except RequestError as error:
        raise FaceServiceError(f"{video}: {error}") from error
    if last:
        path, (height, width, _) = last
        print(f"{video}: {number:,} frame{'s' * (number != 1)} of {width}x{height}, to {path}")
