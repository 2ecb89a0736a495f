"""Headers of JPEG: segments, scans and orientation, of any number and in any place."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
import simplejpeg

from face_service.errors import InvalidImage
from face_service.vision import jpeg_pixels
from face_service.vision.image import decode
from face_service.vision.jpeg import (
    MAX_MARKERS,
    MAX_SCANS,
    MAX_SEGMENTS,
    USUAL_SCANS,
    read_frame,
    read_scans,
)
from tests.hostile.pictures import PIXELS, jpeg_with
from tests.images import encode

LIMIT = 50_000_000


def test_a_jpeg_is_not_worse_for_a_profile_of_megabytes() -> None:
    segment = b"\xff\xe2\xff\xff" + bytes(65_533)
    data = jpeg_with(segment * 120)
    assert np.array_equal(decode(data, LIMIT), decode(jpeg_with(b""), LIMIT))


def test_segments_are_looked_at_up_to_a_limit() -> None:
    own = 20  # at least so many the picture has itself
    few = jpeg_with(b"\xff\xe5\x00\x02" * (MAX_SEGMENTS - own))
    assert decode(few, LIMIT).shape == PIXELS.shape
    with pytest.raises(InvalidImage, match="far too long"):
        decode(jpeg_with(b"\xff\xe5\x00\x02" * MAX_SEGMENTS), LIMIT)


def scans(frame: bytes, count: int, between: bytes = b"") -> bytes:
    """The segments of a JPEG with so many scans, and nothing in them that can be decoded."""
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x12\xff\x00\x34\xff\xd0\x56"
    return b"\xff\xd8" + frame + between.join([scan] * count) + b"\xff\xd9"


def frame(code: int, components: int = 3) -> bytes:
    parts = b"".join(bytes((n, 0x22 if n == 1 else 0x11, 0)) for n in range(1, components + 1))
    body = struct.pack(">BHHB", 8, 8, 8, components) + parts
    return b"\xff" + bytes((code,)) + struct.pack(">H", len(body) + 2) + body


def counted(data: bytes) -> int:
    return read_scans(data, read_frame(data)).number


@pytest.mark.parametrize("code", [0xC0, 0xC2], ids=["sequential", "progressive"])
@pytest.mark.parametrize("count", [1, 10, MAX_SCANS - 1, MAX_SCANS, MAX_SCANS + 1, 5000])
def test_scans_are_counted(code: int, count: int) -> None:
    assert counted(scans(frame(code), count)) == min(count, MAX_SCANS + 1)


def test_what_only_looks_like_scans_is_none() -> None:
    comment = b"\xff\xfe\x00\xca" + b"\xff\xda" * 100
    behind = b"\xff\xda" * 5000
    assert counted(scans(frame(0xC2), 3, comment) + behind) == 3
    assert counted(scans(frame(0xC2), 3, b"\xff\xfe\x00\x06\xff\xd9\xff\xd9") + behind) == 3


def test_the_end_of_a_picture_cannot_be_pretended() -> None:
    comment = b"\xff\xfe\x00\x04\xff\xd9"
    assert counted(scans(frame(0xC2), 200, comment)) == MAX_SCANS + 1


def test_markers_are_counted_up_to_a_bound() -> None:
    """Or megabytes of empty segments are walked over one by one."""
    like_scans = b"\xff\xfe\x00\xca" + b"\xff\xda" * 100
    empty = b"\xff\xfe\x00\x02"
    assert counted(scans(frame(0xC2), 3, like_scans + empty * 1000)) == 3
    assert counted(scans(frame(0xC2), 2, like_scans + empty * MAX_MARKERS)) == MAX_SCANS + 1


def test_many_scans_of_a_large_picture_reach_no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg_pixels, "MAX_SCANNED_PIXELS", 20 * 64)
    assert decode(progressive(USUAL_SCANS), LIMIT).shape == (8, 8, 3)
    assert decode(progressive(20), LIMIT).shape == (8, 8, 3)
    with pytest.raises(InvalidImage, match="21 scans, too many for its size"):
        decode(progressive(21), LIMIT)


def test_scans_of_a_picture_behind_it_are_not_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg_pixels, "MAX_SCANNED_PIXELS", 20 * 64)
    many = progressive(USUAL_SCANS + 1)
    assert counted(many + many) == USUAL_SCANS + 1
    assert decode(many + many, LIMIT).shape == (8, 8, 3)


def test_of_a_single_scan_nothing_is_counted() -> None:
    data = encode(PIXELS, "JPEG")
    assert read_frame(data).coefficients == 0
    assert counted(data + b"\xff\xda" * 5000) == 1


def progressive(count: int) -> bytes:
    """A grey picture of 8×8 pixels in so many scans: one of the mean, then bands of coefficients,
    with all their bits, or with the last one in a second scan. All are 0."""
    only_zeros = bytes((1, *[0] * 15)) + b"\x00"
    tables = b"".join(b"\xff\xc4\x00\x14" + bytes((number,)) + only_zeros for number in (0, 16))
    more = min(63, count - 1 if count <= 64 else 63)
    again = count - 1 - more
    bands = [(0, 0, 0), *banded(more, 1 if again else 0), *banded(again, 0x10)]
    scans = [b"\xff\xda\x00\x08\x01\x01\x00" + bytes(band) + b"\x7f" for band in bands]
    quantisation = b"\xff\xdb\x00\x43\x00" + bytes([1] * 64)
    head = b"\xff\xd8" + quantisation + frame(0xC2, 1) + tables
    return head + b"".join(scans) + b"\xff\xd9"


def banded(count: int, bits: int) -> list[tuple[int, int, int]]:
    """Coefficients 1 to 63 in so many bands."""
    last = [63 * (n + 1) // count for n in range(count)]
    return [(begin + 1, end, bits) for begin, end in zip([0, *last], last, strict=False)]


def test_a_picture_of_too_many_scans_reaches_no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert counted(progressive(MAX_SCANS)) == MAX_SCANS
    assert decode(progressive(MAX_SCANS), LIMIT).shape == (8, 8, 3)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_: pytest.fail("the bytes were seen"))
    with pytest.raises(InvalidImage, match="more than 100 scans"):
        decode(progressive(MAX_SCANS + 1), LIMIT)


def test_a_picture_that_is_cut_short_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded twice"))
    with pytest.raises(InvalidImage):
        decode(encode(PIXELS, "JPEG", progressive=True)[:-300], LIMIT)


def exif(*entries: bytes, order: str = "<") -> bytes:
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(order + "I", 8)
    block = b"Exif\x00\x00" + head + struct.pack(order + "H", len(entries)) + b"".join(entries)
    return b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block


def entry(value: int, kind: int = 3, tag: int = 0x0112, order: str = "<", count: int = 1) -> bytes:
    packed = struct.pack(order + "H2x" if kind == 3 else order + "I", value)
    return struct.pack(order + "HHI", tag, kind, count) + packed


XMP = (
    b'http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)
XMP_SEGMENT = b"\xff\xe1" + struct.pack(">H", len(XMP) + 2) + XMP


@pytest.mark.parametrize(
    ("segments", "orientation"),
    [
        pytest.param(b"", 1, id="none"),
        pytest.param(exif(entry(6)), 6, id="short"),
        pytest.param(exif(entry(6, order=">"), order=">"), 6, id="big-endian"),
        pytest.param(exif(entry(8, kind=4)), 8, id="long"),
        pytest.param(exif(entry(8, kind=4, order=">"), order=">"), 8, id="big-endian long"),
        pytest.param(exif(entry(3, tag=0x0100), entry(6)), 6, id="not the first entry"),
        pytest.param(exif(entry(6), entry(3)), 6, id="twice"),
        pytest.param(exif(entry(6)) + exif(entry(3)), 6, id="two blocks"),
        pytest.param(XMP_SEGMENT + exif(entry(6)), 6, id="behind XMP"),
        pytest.param(XMP_SEGMENT + exif(entry(3, tag=0x0100)), 1, id="XMP alone"),
        pytest.param(exif(entry(3, tag=0x0100)) + XMP_SEGMENT, 1, id="XMP behind"),
        pytest.param(exif(entry(0)), 1, id="0"),
        pytest.param(exif(entry(9)), 1, id="9"),
        pytest.param(exif(entry(6, count=2)), 1, id="two values"),
        pytest.param(exif(entry(6, kind=2)), 1, id="text"),
        pytest.param(exif(entry(6)[:8]), 1, id="cut off"),
        pytest.param(exif(*[entry(1, tag=0x9000)] * 5000, entry(6)), 6, id="many entries"),
    ],
)
def test_orientation_is_that_of_the_exif_block(segments: bytes, orientation: int) -> None:
    assert read_frame(jpeg_with(segments)).orientation == orientation


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(10))
def test_orientation_is_what_opencv_applies(order: str, value: int) -> None:
    data = jpeg_with(exif(entry(value, order=order), order=order))
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decode(data, LIMIT), expected)
