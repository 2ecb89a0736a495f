"""JPEGs within a TIFF: damage that libtiff only warns of."""

from __future__ import annotations

import numpy as np
import pytest

from face_service.errors import InvalidImage
from face_service.vision.headers import read_header
from face_service.vision.image import decode
from face_service.vision.tiff import Directory
from face_service.vision.tiff_jpeg import with_tables
from tests.images import encode
from tests.vision.format_cases import LIMIT, P

SCENE = np.tile(P, (3, 3, 1))
"""Of several strips."""
WAYS = {
    "tables of their own": {"compression": "jpeg", "quality": 90},
    "one strip": {"compression": "jpeg", "quality": 90, "strip_size": 1 << 26},
    "grey": {"mode": "L", "compression": "jpeg", "quality": 90},
}


def directory_of(tiff: bytes) -> Directory:
    directory = read_header(tiff, "TIFF").directory
    assert directory
    return directory


def written(way: str) -> bytes:
    options = dict(WAYS[way])
    return encode(SCENE, "TIFF", str(options.pop("mode", "RGB")), **options)


@pytest.mark.parametrize("way", WAYS)
def test_whole_ones_are_read(way: str) -> None:
    tiff = written(way)
    assert directory_of(tiff).jpeg_tables.startswith(b"\xff\xd8"), "this is about shared tables"
    assert decode(tiff, LIMIT).shape == SCENE.shape


@pytest.mark.parametrize("way", WAYS)
def test_zeros_within_any_piece_are_refused(way: str) -> None:
    whole = written(way)
    for at, count in directory_of(whole).pieces:
        tiff, begin = bytearray(whole), at + count // 2
        tiff[begin : begin + count // 4] = bytes(count // 4)
        with pytest.raises(InvalidImage, match="damaged"):
            decode(bytes(tiff), LIMIT)


@pytest.mark.parametrize("behind", [b"\xff\xd9", b"\xff\xd9\0\0", b""])
def test_tables_are_put_before_a_piece(behind: bytes) -> None:
    whole = encode(P, "JPEG")
    first = whole.index(b"\xff\xdb")  # what shared tables begin with
    assert with_tables(whole[:2] + whole[first:], whole[:first] + behind) == whole
    assert with_tables(whole, b"") == whole


def test_one_that_lacks_nothing_but_its_end_is_read() -> None:
    tiff = bytearray(written("one strip"))
    [(at, count)] = directory_of(bytes(tiff)).pieces
    assert tiff[at + count - 2 : at + count] == b"\xff\xd9"
    tiff[at + count - 2 : at + count] = b"\0\0"
    assert decode(bytes(tiff), LIMIT).shape == SCENE.shape
