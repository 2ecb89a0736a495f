"""Small videos whose frames say their number: made by PyAV, in a moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from face_service.vision.blob import Image

WIDTH, HEIGHT, RATE = 192, 128, 25
BITS, CELL = 8, 24
"""A number is a row of squares along the lower edge, the lowest bit first, white for 1."""


def numbered(number: int) -> Image:
    """A picture that moves, and has its number in it."""
    image = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    image[8 : HEIGHT - CELL, (number * 3) % 120 : (number * 3) % 120 + 40] = (40, 120, 220)
    image[HEIGHT - CELL :] = 0
    for bit in range(BITS):
        if number >> bit & 1:
            image[HEIGHT - CELL :, bit * CELL : (bit + 1) * CELL] = 255
    return image


def number_of(image: Image) -> int:
    """The number in a frame, of any size."""
    height, width = image.shape[:2]
    row = image[height - height * CELL // HEIGHT // 2]
    places = [int((bit + 0.5) * CELL * width / WIDTH) for bit in range(BITS)]
    return sum(int(row[x].mean() > 128) << bit for bit, x in enumerate(places))


def write(
    path: Path,
    frames: int = 75,
    picture: Callable[[int], NDArray[Any]] = numbered,
    times: Sequence[int] | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    matrix: int | None = None,
    prepare: Callable[[Any], None] = lambda _: None,
    tag: Callable[[Any], None] = lambda _: None,
    container: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    **options: str,
) -> Path:
    """Write a video of so many frames. times: of each, in milliseconds; else 25 a second. matrix:
    of ITU-T H.273, by which pictures, BGR of 8 or 16 bits, become YUV. prepare: sets up the
    stream; tag: sets up each frame; container: options of the file's format;
    metadata: of the file."""
    first = picture(0)
    with av.open(str(path), "w", container_options=container) as file:
        file.metadata.update(metadata or {})
        preset = {"preset": "veryfast"} if codec == "libx264" else {}
        stream = file.add_stream(codec, rate=RATE, options={**preset, **options})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = pixels
        if codec != "mpeg2video":  # which knows the rates of television only
            stream.codec_context.time_base = Fraction(1, 1000)
        prepare(stream)
        for number in range(frames):
            image = picture(number)
            layout = "bgr24" if image.dtype == np.uint8 else "bgr48le"
            frame = av.VideoFrame.from_ndarray(image, layout)
            frame = frame.reformat(format=pixels, dst_colorspace=matrix)
            frame.pts = times[number] if times else number * 1000 // RATE
            frame.time_base = Fraction(1, 1000)
            tag(frame)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path
