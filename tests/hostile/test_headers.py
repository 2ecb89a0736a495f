"""Bodies that are nearly all header, headers that promise too much: little time and memory."""

from __future__ import annotations

import contextlib
import struct
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from face_service.errors import ImageTooLarge, InvalidImage
from face_service.vision.image import check, decode
from tests import commands
from tests.hostile.pictures import (
    FTYP,
    PIXELS,
    box,
    chunk,
    jpeg_with,
    lying_headers,
    png_with,
    tiff,
)
from tests.images import encode, every_dress

SIZE = 8_000_000
LIMIT = 50_000_000


RATIONAL = (SIZE - 4096) // 8
ALL_HEADER: dict[str, Callable[[], bytes]] = {
    "jpeg segments": lambda: jpeg_with(b"\xff\xe5\x00\x02" * (SIZE // 4)),
    "jpeg app1": lambda: jpeg_with(b"\xff\xe1\x00\x02" * (SIZE // 4)),
    "jpeg fill bytes": lambda: jpeg_with(b"\xff" * SIZE),
    "jpeg no marker": lambda: jpeg_with(bytes(SIZE)),
    "jpeg tables": lambda: jpeg_with(
        (b"\xff\xdb\x00\x43\x00" + bytes(range(1, 65))) * (SIZE // 69)
    ),
    "jpeg frame never": lambda: b"\xff\xd8" + b"\xff\xfe\xff\xff" * (SIZE // 4),
    "png chunks": lambda: png_with(chunk(b"teSt", b"") * (SIZE // 12)),
    "png text": lambda: png_with(chunk(b"tEXt", b"a\x00b") * (SIZE // 15)),
    "tiff values": lambda: tiff((700, 5, RATIONAL, 4096), behind=bytes(SIZE - 4096)),
    "tiff strips": lambda: tiff((273, 4, SIZE // 4 - 1024, 4096), behind=bytes(SIZE - 4096)),
    "tiff too many pixels": lambda: tiff(
        (700, 3, SIZE // 2 - 2048, 4096), width=60_000, height=60_000, behind=bytes(SIZE - 4096)
    ),
    "webp chunks": lambda: (
        encode(PIXELS, "WEBP", lossless=True) + b"JUNK\x00\x00\x00\x00" * (SIZE // 8)
    ),
    "heif boxes": lambda: FTYP + box(b"free") * (SIZE // 8),
    "heif items": lambda: (
        FTYP
        + box(b"meta", bytes(4), box(b"iinf", bytes(4), b"\xff\xff", box(b"infe") * (SIZE // 8)))
    ),
    "heif properties": lambda: (
        FTYP + box(b"meta", bytes(4), box(b"iprp", box(b"ipco", box(b"ispe") * 120_000)))
    ),
    "heif associations": lambda: (
        FTYP + box(b"meta", bytes(4), box(b"iprp", box(b"ipma", bytes(4), b"\xff" * 10**6)))
    ),
    "gif extensions": lambda: encode(PIXELS, "GIF")[:-1] + b"\x21\xfe\x00" * (SIZE // 3) + b";",
}
"""What took Pillow a hundred times its size in memory, or seconds."""


MEASURED = """
import sys, time
from pathlib import Path
from face_service.errors import RequestError
from face_service.vision.image import check

data = Path(sys.argv[1]).read_bytes()

def memory(name):
    text = Path("/proc/self/status").read_text()
    return int(text.split(name)[1].split()[0]) / 1e3

before, started = memory("VmRSS:"), time.perf_counter()
try:
    said = check(data, 50_000_000).header[:2]
except RequestError as error:
    said = error.code
print(memory("VmHWM:") - before, time.perf_counter() - started, said)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read in /proc")
@pytest.mark.parametrize("kind", sorted(ALL_HEADER))
def test_a_header_takes_no_memory_and_no_time(kind: str, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(ALL_HEADER[kind]())
    memory, seconds, said = commands.output(MEASURED, tmp_path, body).split(maxsplit=2)
    assert float(memory) < 2 * SIZE / 1e6, said
    assert float(seconds) < 0.5, said


@pytest.mark.parametrize(
    "kind", sorted(set(ALL_HEADER) - {"tiff strips", "tiff too many pixels", "jpeg frame never"})
)
def test_a_header_that_is_long_is_refused_or_read_as_opencv_reads_it(kind: str) -> None:
    data = ALL_HEADER[kind]()
    try:
        ours = decode(data, LIMIT)
    except InvalidImage:
        assert kind.startswith(("jpeg", "png", "heif")), "only what is walked over may be too long"
        return
    assert np.array_equal(ours, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_header_costs_less_than_a_hop_to_another_thread(image_format: str) -> None:
    data = encode(PIXELS, image_format)
    started = time.perf_counter()
    for _ in range(1000):
        check(data, LIMIT)
    assert time.perf_counter() - started < 1.0  # a millisecond each; it takes a hundredth of one


LARGE = bytes(1_500_000)


@pytest.mark.parametrize(
    "beside",
    [
        pytest.param(chunk(b"zTXt", b"a\x00\x00" + zlib.compress(LARGE)), id="zTXt"),
        pytest.param(chunk(b"iTXt", b"a\x00\x01\x00\x00\x00" + zlib.compress(LARGE)), id="iTXt"),
        pytest.param(chunk(b"iCCP", b"a\x00\x00" + zlib.compress(LARGE)), id="iCCP"),
        pytest.param(chunk(b"tEXt", b"a\x00" + b"x" * 1_500_000), id="tEXt"),
    ],
)
def test_a_png_is_not_worse_for_what_is_written_beside_it(beside: bytes) -> None:
    assert np.array_equal(decode(png_with(beside), LIMIT), PIXELS)


def test_the_limit_on_pixels_is_ours_alone(recwarn: pytest.WarningsRecorder) -> None:
    side = 14_000
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    assert side * side > 2 * (PIL.Image.MAX_IMAGE_PIXELS or 0)
    assert check(head, side * side).header.width == side
    with pytest.raises(ImageTooLarge, match=f"limit of {side * side - 1}"):
        check(head, side * side - 1)
    assert not recwarn.list


def test_headers_change_no_filter_of_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """`warnings.catch_warnings` on two threads leaves what one of them wanted for both."""
    before = list(warnings.filters)
    monkeypatch.setattr(
        warnings.catch_warnings, "__enter__", lambda _: pytest.fail("filters are changed")
    )
    for data in [*every_dress(PIXELS).values(), *lying_headers().values()]:
        with contextlib.suppress(InvalidImage, ImageTooLarge):
            decode(data, LIMIT)
    assert warnings.filters == before


@pytest.mark.parametrize("height", [30, -30])
def test_sizes_are_those_opencv_decodes_bmp(height: int) -> None:
    bmp = bytearray(encode(PIXELS[:30], "BMP"))
    bmp[22:26] = struct.pack("<i", height)
    assert decode(bytes(bmp), LIMIT).shape == (30, 56, 3)
    with pytest.raises(ImageTooLarge, match="56x30"):
        check(bytes(bmp), 30 * 56 - 1)


def test_sizes_are_those_opencv_decodes_bmp_core() -> None:
    head = b"BM" + struct.pack("<IHHI", 0, 0, 0, 26) + struct.pack("<IHHHH", 12, 40, 30, 1, 24)
    data = head + bytes(40 * 30 * 3)
    assert check(data, LIMIT).header[:2] == (40, 30)
    assert decode(data, LIMIT).shape == (30, 40, 3)


def test_sizes_are_those_opencv_decodes_gif() -> None:
    gif = bytearray(encode(PIXELS, "GIF"))
    gif[6:10] = struct.pack("<HH", 100, 90)  # the first frame is smaller than the screen
    assert check(bytes(gif), LIMIT).header[:2] == (100, 90)
    assert decode(bytes(gif), LIMIT).shape == (90, 100, 3)
