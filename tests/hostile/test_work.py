"""Files that make our own look at them long: what is looked at is bounded in all, not in each."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from types import FrameType

import cv2
import numpy as np
import PIL.Image
import pytest

from face_service.errors import InvalidImage
from face_service.vision import endings, tiff_pieces
from face_service.vision.heif import decode_heif
from face_service.vision.heif_header import Extent, read_picture
from face_service.vision.image import check, decode
from face_service.vision.jpeg import read_frame, read_scans
from tests.formats import avif, heic
from tests.hostile.pictures import PIXELS, jpeg_with, tiff
from tests.images import encode

LIMIT = 10**9
DEFLATE = 8


def tiff_of_strips(strips: int, size: int, data: bytes) -> bytes:
    """A TIFF whose strips, a row each, all have the same bytes and say that they are `size`."""
    at = 4096 + 8 * strips
    behind = struct.pack(f"<{2 * strips}I", *([at] * strips), *([size] * strips)) + data
    return tiff(
        (259, 4, 1, DEFLATE),
        (273, 4, strips, 4096),
        (279, 4, strips, 4096 + 4 * strips),
        (278, 4, 1, 1),
        height=strips,
        behind=behind,
    )


@pytest.mark.parametrize("size", [2**32 - 1, 2**64 - 1], ids=["TIFF", "BigTIFF"])
def test_a_piece_that_says_it_is_longer_than_the_file_is_not_looked_for(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    steps = 0

    class Inflate:
        """An inflater that counts what it is given, and never comes to an end."""

        eof = False

        def decompress(self, _: bytes) -> bytes:
            nonlocal steps
            steps += 1
            assert steps < 10, "it goes on behind the end of the file"
            return b""

    monkeypatch.setattr(tiff_pieces.zlib, "decompressobj", Inflate)
    assert tiff_pieces.has_lost_bytes(bytes(1000), DEFLATE, ((100, size),), 56)
    assert steps == 1


def test_strips_that_lie_over_each_other_are_refused_unless_they_are_small() -> None:
    row = bytes(range(56))
    strip = zlib.compress(row)
    shared = tiff_of_strips(400, len(strip), strip)
    assert np.array_equal(decode(shared, LIMIT)[:, :, 0], [[*row]] * 400)
    with pytest.raises(InvalidImage, match="lie over each other"):
        decode(tiff_of_strips(400, 300_000, strip + bytes(300_000)), LIMIT)


@pytest.mark.parametrize("make", [heic, avif])
def test_tiles_that_lie_over_each_other_are_refused(make: type) -> None:
    data = make(PIXELS)
    picture = read_picture(data)
    assert decode_heif(data, picture) is not None
    everywhere = picture._replace(extents=(Extent(0, len(data)),) * (10**8 // len(data) + 1))
    with pytest.raises(InvalidImage, match="lie over each other"):
        decode_heif(data, everywhere)


def test_blocks_of_a_gif_are_counted_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "MAX_BLOCKS", 1000)
    data = encode(PIXELS, "GIF")
    head = endings.GIF_HEADER + endings.colour_table(data[10])
    extension = b"\x21\xfe" + b"\x01a" * 200 + b"\x00"
    few = data[:head] + extension * 3 + data[head:]
    assert endings.first_frame(few) == few
    assert endings.first_frame(data[:head] + extension * 6 + data[head:]) is None
    assert endings.first_frame(data[:head] + b"\x21\xfe" + b"\x01a" * 2000 + data[head:]) is None


def test_gaps_of_a_jpeg_are_counted_in_all() -> None:
    gap = b"\xff" * 40_000 + b"\xff\xe5\x00\x02"
    expected = cv2.imdecode(np.frombuffer(jpeg_with(gap), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decode(jpeg_with(gap), LIMIT), expected)
    with pytest.raises(InvalidImage, match="far too long"):
        check(jpeg_with(gap * 2), LIMIT)


def test_what_only_looks_like_scans_takes_no_time_for_each_name() -> None:
    whole = io.BytesIO()
    PIL.Image.fromarray(PIXELS).save(whole, "JPEG", progressive=True)
    data = whole.getvalue()
    frame = read_frame(data)
    false_scan = b"\xff\xda\x00\x00\xff" + bytes((frame.names[0], 0)) * 255 + b"\x00\xff\x00"
    segment = b"\xff\xe5" + struct.pack(">H", 2 + 100 * len(false_scan)) + false_scan * 100
    at = data.index(b"\xff\xc4", frame.scans_at)  # between the first scan and the second
    calls = 0

    def count(_frame: FrameType, event: str, _what: object) -> None:
        nonlocal calls
        calls += event == "c_call"

    sys.setprofile(count)
    try:
        read_scans(data[:at] + segment + data[at:], frame)
    finally:
        sys.setprofile(None)
    assert 100 < calls < 100 * 20
