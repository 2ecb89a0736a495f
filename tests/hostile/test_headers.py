"""Bodies that are nearly all header, headers that promise too much: little time and memory."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
import time
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from face_service.errors import ImageTooLarge, InvalidImage
from face_service.vision import image as image_module
from face_service.vision.image import check, decode
from face_service.vision.jpeg import (
    MAX_MARKERS,
    MAX_SCANS,
    MAX_SEGMENTS,
    USUAL_SCANS,
    count_scans,
    read_frame,
)
from face_service.vision.tiff import LEAST_TILE, MAX_ENTRIES
from tests.hostile.pictures import chunk, lying_headers
from tests.images import encode, every_dress

SIZE = 8_000_000
LIMIT = 50_000_000
PIXELS = np.random.default_rng(5).integers(0, 256, (40, 56, 3), np.uint8)


def jpeg_with(between: bytes) -> bytes:
    data = encode(PIXELS, "JPEG")
    return data[:2] + between + data[2:]


def png_with(between: bytes) -> bytes:
    data = encode(PIXELS, "PNG")
    return data[:33] + between + data[33:]


def tiff(
    *more: tuple[int, int, int, int], width: int = 56, height: int = 40, behind: bytes = b""
) -> bytes:
    """A grey TIFF without compression; `more`: entries, `behind`: bytes at 4096."""
    own = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 2240}
    given = {entry[0] for entry in more}
    entries = [(tag, 4, 1, value) for tag, value in own.items() if tag not in given]
    entries = sorted([*entries, *more])
    pixels = bytes(2240)
    start = 8 + len(pixels)
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", *entry) for entry in entries
    )
    head = b"II*\x00" + struct.pack("<I", start) + pixels + directory + bytes(4)
    return head + bytes(max(0, 4096 - len(head))) + behind


def all_header() -> dict[str, bytes]:
    """What took Pillow a hundred times its size in memory, or seconds."""
    rational = (SIZE - 4096) // 8
    return {
        "jpeg segments": jpeg_with(b"\xff\xe5\x00\x02" * (SIZE // 4)),
        "jpeg app1": jpeg_with(b"\xff\xe1\x00\x02" * (SIZE // 4)),
        "jpeg fill bytes": jpeg_with(b"\xff" * SIZE),
        "jpeg no marker": jpeg_with(bytes(SIZE)),
        "jpeg tables": jpeg_with((b"\xff\xdb\x00\x43\x00" + bytes(range(1, 65))) * (SIZE // 69)),
        "jpeg frame never": b"\xff\xd8" + b"\xff\xfe\xff\xff" * (SIZE // 4),
        "png chunks": png_with(chunk(b"teSt", b"") * (SIZE // 12)),
        "png text": png_with(chunk(b"tEXt", b"a\x00b") * (SIZE // 15)),
        "tiff values": tiff((700, 5, rational, 4096), behind=bytes(SIZE - 4096)),
        "tiff strips": tiff((273, 4, SIZE // 4 - 1024, 4096), behind=bytes(SIZE - 4096)),
        "tiff too many pixels": tiff(
            (700, 3, SIZE // 2 - 2048, 4096), width=60_000, height=60_000, behind=bytes(SIZE - 4096)
        ),
        "webp chunks": encode(PIXELS, "WEBP", lossless=True)
        + b"JUNK\x00\x00\x00\x00" * (SIZE // 8),
        "gif extensions": encode(PIXELS, "GIF")[:-1] + b"\x21\xfe\x00" * (SIZE // 3) + b";",
    }


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
@pytest.mark.parametrize("kind", sorted(all_header()))
def test_a_header_takes_no_memory_and_no_time(kind: str, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(all_header()[kind])
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, body], capture_output=True, text=True, check=True
    )
    memory, seconds, said = done.stdout.split(maxsplit=2)
    assert float(memory) < 2 * SIZE / 1e6, said
    assert float(seconds) < 0.5, said


@pytest.mark.parametrize(
    "kind", sorted(set(all_header()) - {"tiff strips", "tiff too many pixels", "jpeg frame never"})
)
def test_a_header_that_is_long_is_refused_or_read_as_opencv_reads_it(kind: str) -> None:
    data = all_header()[kind]
    try:
        ours = decode(data, LIMIT)
    except InvalidImage:
        assert kind.startswith("jpeg"), "only what has to be walked over may be too long"
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


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(tiff((322, 4, 1, 8192), (323, 4, 1, 8192)), "tiles", id="tile"),
        pytest.param(tiff((322, 4, 1, 16), (323, 4, 1, 2048)), "tiles", id="tall tile"),
        pytest.param(tiff((273, 4, 41, 8)), "pieces", id="strips"),
        pytest.param(
            tiff((322, 4, 1, 16), (323, 4, 1, 16), (324, 4, 13, 8)), "pieces", id="tiles' offsets"
        ),
        pytest.param(tiff((700, 1, 10_000_000, 8)), "promises more", id="value"),
        pytest.param(
            tiff(*[(1000 + n, 1, 1000, 8) for n in range(50)]), "promises more", id="shared values"
        ),
        pytest.param(tiff((256, 4, 2, 8)), "tag 256", id="two widths"),
        pytest.param(tiff((256, 5, 1, 8)), "tag 256", id="a width that is a fraction"),
        pytest.param(tiff(width=0), "no pixels", id="no width"),
        pytest.param(
            tiff(*[(1000 + n, 1, 1, 8) for n in range(MAX_ENTRIES)]), "entries", id="entries"
        ),
        pytest.param(tiff((277, 3, 1, 65_535)), "65535 samples", id="samples"),
        pytest.param(tiff((277, 3, 1, 0)), "0 samples", id="no samples"),
        pytest.param(tiff((258, 3, 1, 128)), "of 128 bits", id="bits"),
        pytest.param(b"II*\x00\xff\xff\xff\xff", "cut short", id="directory beyond the file"),
    ],
)
def test_a_tiff_that_promises_too_much_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(InvalidImage, match=said):
        check(data, LIMIT)


def test_a_usual_tile_is_larger_than_a_small_picture() -> None:
    side = LEAST_TILE
    header = check(tiff((322, 4, 1, side), (323, 4, 1, side)), LIMIT).header
    assert header.decoding_bytes > side * side


def scans(frame: bytes, count: int, between: bytes = b"") -> bytes:
    """The segments of a JPEG with so many scans, and nothing in them that can be decoded."""
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x12\xff\x00\x34\xff\xd0\x56"
    return b"\xff\xd8" + frame + between.join([scan] * count) + b"\xff\xd9"


def frame(code: int, components: int = 3) -> bytes:
    parts = b"".join(bytes((n, 0x22 if n == 1 else 0x11, 0)) for n in range(1, components + 1))
    body = struct.pack(">BHHB", 8, 8, 8, components) + parts
    return b"\xff" + bytes((code,)) + struct.pack(">H", len(body) + 2) + body


def counted(data: bytes) -> int:
    return count_scans(data, read_frame(data))


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
    monkeypatch.setattr(image_module, "MAX_SCANNED_PIXELS", 20 * 64)
    has = counted(progressive(0))
    assert decode(progressive(USUAL_SCANS - has), LIMIT).shape == (8, 8, 3)
    assert decode(progressive(20 - has), LIMIT).shape == (8, 8, 3)
    with pytest.raises(InvalidImage, match="21 scans, too many for its size"):
        decode(progressive(21 - has), LIMIT)


def test_of_a_single_scan_nothing_is_counted() -> None:
    data = encode(PIXELS, "JPEG")
    assert read_frame(data).coefficients == 0
    assert counted(data + b"\xff\xda" * 5000) == 1


def progressive(refinements: int) -> bytes:
    """A picture of 8×8 pixels whose last scan comes so many times: a scan that adds nothing."""
    data = encode(np.full((8, 8, 3), 90, np.uint8), "JPEG", "L", progressive=True)
    last = data.rindex(b"\xff\xda")
    tables = data.rindex(b"\xff\xc4")
    scan = data[min(tables, last) : -2]
    return data[:-2] + scan * refinements + b"\xff\xd9"


def test_a_picture_of_too_many_scans_reaches_no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    has = counted(progressive(0))
    assert decode(progressive(MAX_SCANS - has), LIMIT).shape == (8, 8, 3)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("the decoder saw the bytes"))
    with pytest.raises(InvalidImage, match="more than 100 scans"):
        decode(progressive(MAX_SCANS - has + 1), LIMIT)


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
