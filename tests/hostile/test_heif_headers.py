"""Headers of HEIC and AVIF that promise too much, too little, or something else than the data."""

from __future__ import annotations

import struct
from functools import cache

import cv2
import numpy as np
import pytest

from face_service.errors import ImageTooLarge, InvalidImage
from face_service.vision import bmff, coded_size, heif, heif_header
from face_service.vision import image as image_module
from face_service.vision.headers import TILE_PIXEL
from face_service.vision.heif_header import read_picture
from face_service.vision.image import check, decode
from tests.formats import avif, deep_avif, deep_heic, heic
from tests.hostile.pictures import FTYP, box
from tests.vision.format_cases import P

LIMIT = 1_000_000
WRITERS = {"heic": heic, "avif": avif}


@cache
def file(kind: str) -> bytes:
    return heic(P, tile=64) if kind == "grid" else WRITERS[kind](P)


def changed(data: bytes, box_of: bytes, at: int, value: bytes) -> bytes:
    """The file with other bytes in every box of a kind, at a place in its content."""
    out, where = bytearray(data), data.find(box_of)
    assert where > 0
    while where > 0:
        out[where + 4 + at : where + 4 + at + len(value)] = value
        where = data.find(box_of, where + 4)
    return bytes(out)


def sized(data: bytes, width: int, height: int) -> bytes:
    return changed(data, b"ispe", 4, struct.pack(">II", width, height))


def without_av1(data: bytes) -> bytes:
    begin, end = read_picture(data).extents[0]
    return data[:begin] + bytes(end - begin) + data[end:]


@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_a_picture_that_is_too_large_reaches_no_decoder(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_module, "decode_heif", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(ImageTooLarge, match="20000x20000"):
        decode(sized(file(kind), 20_000, 20_000), LIMIT)


@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_what_the_coded_data_claim_is_charged(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lying = sized(file(kind), 8, 8)
    header = check(lying, LIMIT).header
    assert (header.width, header.height) == (8, 8)
    assert header.decoding_bytes >= P.shape[0] * P.shape[1] * TILE_PIXEL
    if kind == "avif":  # libavif scales it, as its standard says
        assert decode(lying, LIMIT).shape == (8, 8, 3)
    else:
        with pytest.raises(InvalidImage):
            decode(lying, LIMIT)
    monkeypatch.setattr(image_module, "LEAST_BYTES", 1000)
    with pytest.raises(ImageTooLarge, match="more than the limit"):
        check(lying, 100)


def test_the_size_of_a_grid_is_that_of_the_grid() -> None:
    data = file("grid")
    assert read_picture(data)[:2] == (128, 96)
    at = data.index(struct.pack(">BBHH", 1, 1, 128, 96))  # rows and columns less 1, then the size
    lying = data[: at + 2] + struct.pack(">HH", 60_000, 60_000) + data[at + 6 :]
    with pytest.raises(ImageTooLarge, match="60000x60000"):
        check(lying, LIMIT)
    for rows in (0, 9):
        with pytest.raises(InvalidImage, match="tiles are not all there"):
            check(data[:at] + bytes((rows,)) + data[at + 1 :], LIMIT)


@pytest.mark.parametrize("size", [(8, 8), (17, 33), (128, 96), (65, 128), (1200, 20)])
def test_the_size_of_coded_data_is_read(size: tuple[int, int]) -> None:
    width, height = size
    image = np.resize(P, (height, width, 3))
    deep = image.astype(np.uint16) * 257
    for data in (heic(image), avif(image), deep_heic(deep), deep_avif(deep)):
        header, picture = check(data, LIMIT).header, read_picture(data)
        assert (header.width, header.height) == size
        assert decode(data, LIMIT).shape[1::-1] == size
        assert width * height <= picture.tile_pixels <= (width + 63) * (height + 63)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(FTYP, "no still picture", id="nothing behind"),
        pytest.param(FTYP + box(b"moov"), "no still picture", id="a sequence alone"),
        pytest.param(FTYP + box(b"meta", bytes(4)), "names no picture", id="no item"),
        pytest.param(FTYP + b"\xff\xff\xff\xffmeta", "cut short", id="a box beyond the file"),
        pytest.param(FTYP + box(b"meta", bytes(1 << 21)), "far too long", id="megabytes of header"),
        pytest.param(
            FTYP + box(b"meta", bytes(4), box(b"iloc", bytes(6), b"\xff\xff")),
            "far too many items",
            id="items",
        ),
        pytest.param(
            FTYP + box(b"meta", bytes(4), *[box(b"pitm", bytes(4), b"\x00\x01")] * 2),
            "damaged",
            id="two primary items",
        ),
        pytest.param(changed(file("heic"), b"infe", 8, b"avc1"), "by H.264", id="H.264"),
        pytest.param(changed(file("heic"), b"hvcC", 22, b"\x00"), "no size", id="no parameters"),
        pytest.param(file("heic").replace(b"hvcC", b"free"), "not described", id="no codec"),
        pytest.param(file("heic").replace(b"ispe", b"free"), "no size", id="no size"),
        pytest.param(sized(file("avif"), 0, 9), "no pixels", id="no pixels"),
        pytest.param(file("heic")[:-9], "cut short", id="data that end"),
        pytest.param(without_av1(file("avif")), "not what AV1 has", id="no AV1 in an AVIF"),
    ],
)
def test_a_damaged_header_is_refused_by_name(data: bytes, said: str) -> None:
    with pytest.raises(InvalidImage, match=said):
        check(data, LIMIT)


def test_boxes_are_looked_at_up_to_a_bound() -> None:
    meta = file("heic")[file("heic").index(b"meta") - 4 :]
    before = FTYP + box(b"free") * (bmff.MAX_BOXES - 10)
    assert check(before + meta, LIMIT).header.width == 128
    with pytest.raises(InvalidImage, match="no still picture"):
        check(before + box(b"free") * 10 + meta, LIMIT)


def with_data_twice(kind: str) -> bytes:
    """The coded data of a picture, and again: a decoder would show one, and decode all."""
    data = file(kind)
    begin, end = read_picture(data).extents[0]
    place = struct.pack(">I", end - begin)
    assert end == len(data)
    at = data.rindex(place, 0, data.index(b"mdat") - 8)
    longer = data[:at] + struct.pack(">I", 2 * (end - begin)) + data[at + 4 :]
    again = data[begin:end] if kind == "heic" else data[begin + 2 : end]
    return longer + again + (b"" if kind == "heic" else b"\x12\x00")


def test_tiles_that_are_far_larger_than_their_picture_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each may be the same few bytes of the file, and each is decoded."""
    assert decode(file("grid"), LIMIT).shape == P.shape
    monkeypatch.setattr(heif_header, "LEAST_PIXELS", 4 * 64 * 64 // heif_header.MAX_SHARE - 1)
    at = file("grid").index(struct.pack(">BBHH", 1, 1, 128, 96)) + 2
    lying = file("grid")[:at] + struct.pack(">HH", 64, 48) + file("grid")[at + 4 :]
    with pytest.raises(InvalidImage, match="larger than their picture"):
        check(lying, LIMIT)


@pytest.mark.parametrize(("kind", "said"), [("heic", "missing or wrong"), ("avif", "more frames")])
def test_data_of_more_than_one_picture_reach_no_decoder(
    kind: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coded_size, "MAX_FRAMES", 1)
    data = with_data_twice(kind)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    monkeypatch.setattr(heif.libheif(), "open_heif", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(InvalidImage, match=said):
        decode(data, LIMIT)


@pytest.mark.parametrize("damage", ["zeros", "parameters", "length"])
def test_data_that_no_hevc_has_reach_no_decoder(
    damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(file("heic"))
    begin, end = read_picture(bytes(data)).extents[0]
    if damage == "zeros":
        data[end - 40 : end] = bytes(40)
    elif damage == "parameters":
        data[begin + 4] = 33 << 1
    else:
        data[begin : begin + 4] = b"\x7f\xff\xff\xff"
    monkeypatch.setattr(heif.libheif(), "open_heif", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(InvalidImage, match="missing or wrong"):
        decode(bytes(data), LIMIT)
