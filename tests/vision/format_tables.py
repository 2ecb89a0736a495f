"""The tables of docs/formats.md: what becomes of every format, and of what is cut.

    .venv/bin/python -m tests.vision.format_tables

writes them again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np

from face_service.errors import InvalidImage
from face_service.vision.blob import Image
from face_service.vision.image import decode
from tests.formats import avif, heic
from tests.images import encode
from tests.vision.format_cases import LIMIT, cases, outcome, twice

PAGE = Path(__file__).parents[2] / "docs/formats.md"

CUTS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "at half": lambda data, _: data[: len(data) // 2],
    "at 0.9": lambda data, _: data[: len(data) * 9 // 10],
    "last byte": lambda data, _: data[:-1],
    "zeros from half": lambda data, _: data[: len(data) // 2].ljust(len(data), b"\x00"),
    "zeros at the end": lambda data, _: data[: len(data) * 9 // 10].ljust(len(data), b"\x00"),
    "zeros within": lambda data, _: (
        data[: len(data) // 2] + bytes(1400) + data[len(data) // 2 + 1400 :]
    ),
    "lost packet": lambda data, _: data[: len(data) // 2] + data[len(data) // 2 + 1400 :],
    "torn": lambda data, _: data[: len(data) // 2] + data,
    "half of another": lambda data, other: data[: len(data) // 2] + other[len(data) // 2 :],
}
"""Of a file, and that of the same picture turned over: what is left."""


def large() -> Image:
    """A picture whose files are some lost packets long."""
    noise = np.random.default_rng(9).integers(0, 255, (60, 80, 3), np.uint8)
    return cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


WRITERS: dict[str, Callable[[Image], bytes]] = {
    "JPEG": partial(encode, image_format="JPEG", quality=90),
    "JPEG, end marker put behind": partial(encode, image_format="JPEG", quality=90),
    "JPEG, progressive": partial(encode, image_format="JPEG", quality=90, progressive=True),
    "JPEG, CMYK": partial(encode, image_format="JPEG", mode="CMYK", quality=90),
    "PNG": partial(encode, image_format="PNG"),
    "PNG, animated": lambda image: twice("PNG", image),
    "GIF": partial(encode, image_format="GIF"),
    "WebP": partial(encode, image_format="WEBP", quality=90),
    "WebP, lossless": partial(encode, image_format="WEBP", lossless=True),
    "HEIC": heic,
    "AVIF": avif,
    "TIFF, LZW": partial(encode, image_format="TIFF", compression="tiff_lzw"),
    "TIFF, Deflate": partial(encode, image_format="TIFF", compression="tiff_adobe_deflate"),
    "TIFF, JPEG": partial(encode, image_format="TIFF", compression="jpeg", quality=90),
    "TIFF, uncompressed": partial(encode, image_format="TIFF"),
    "BMP": partial(encode, image_format="BMP"),
}


@cache
def cut_outcomes() -> dict[str, list[str]]:
    """For each format what becomes of each cut: `refused`; `whole`, the picture as it was; or
    `not noticed`, another one."""
    image = large()
    found = {}
    for name, write in WRITERS.items():
        data, other = write(image), write(np.ascontiguousarray(image[::-1]))
        end = b"\xff\xd9" if "put behind" in name else b""
        whole = decode(data, LIMIT)
        found[name] = [cut_outcome(cut(data, other) + end, whole) for cut in CUTS.values()]
    return found


def cut_outcome(data: bytes, whole: Image) -> str:
    try:
        image = decode(data, LIMIT)
    except InvalidImage:
        return "refused"
    return "whole" if np.array_equal(image, whole) else "not noticed"


def tables() -> dict[str, str]:
    """The tables of the page by their markers."""
    rows = [f"| {case.format} | {case.variant} | {outcome(case)} |" for case in cases()]
    cuts = [f"| {name} | {' | '.join(row)} |" for name, row in cut_outcomes().items()]
    return {
        "formats": "\n".join(("| format | variant | what happens |", "|---|---|---|", *rows)),
        "cuts": "\n".join(
            (f"| format | {' | '.join(CUTS)} |", "|---" * (1 + len(CUTS)) + "|", *cuts)
        ),
    }


def published(text: str, found: dict[str, str]) -> str:
    """The page with these tables between its markers."""
    for name, table in found.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
        before, _, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        assert found_end, f"{PAGE} has no markers of {name}"
        text = f"{before}{begin}{table}\n{end}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(published(PAGE.read_text(), tables()))
