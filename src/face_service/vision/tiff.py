"""The first directory of a TIFF, read without a library. TIFF 6.0, section 2."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

from face_service.errors import InvalidImage

MAX_ENTRIES = 4096
"""Of a directory: libtiff's own limit."""
MAX_SAMPLES, MAX_BITS = 16, 64
"""Of a pixel, and of a sample: more than any picture of a camera, a scanner or a program has."""
LEAST_TILE = 1024
"""Longest side of a tile, in pixels; in a picture with a longer side, that side."""

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
"""Bytes of a value by its type."""
INTEGERS = {1: "B", 3: "H", 4: "I"}
WIDTH, HEIGHT, BITS, SAMPLES = 256, 257, 258, 277
TILE_WIDTH, TILE_HEIGHT = 322, 323
SUBFILE, DNG_VERSION = 254, 50706
STRIPS, TILES = (273, 279), (324, 325)
"""Offsets and byte counts."""


class Entry(NamedTuple):
    """An entry of a directory: the type of its values, how many, and they or where they are."""

    kind: int
    number: int
    value: bytes


class Directory(NamedTuple):
    """The size of a picture in pixels, the bytes of a pixel in the file, and the pixels of a tile;
    0 where it has none."""

    width: int
    height: int
    pixel_bytes: float
    tile_pixels: int


def read_directory(data: bytes) -> Directory:
    """Read the first directory.

    Raises InvalidImage if it declares more entries, samples, tiles or bytes than the picture or the
    file can have, struct.error where the data end.
    """
    order = "<" if data.startswith(b"II") else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    if count > MAX_ENTRIES:
        raise InvalidImage(f"The TIFF directory has {count} entries")
    listed = data[start + 2 : start + 2 + 12 * count]
    entries: dict[int, Entry] = {}
    held = 0
    for tag, *rest in struct.iter_unpack(order + "HHI4s", listed):
        entry = Entry(*rest)
        entries.setdefault(tag, entry)  # of two libtiff takes the first
        held += entry.number * SIZES.get(entry.kind, 1)
    if held > len(data) + len(listed):  # small ones lie in the directory
        raise InvalidImage("The TIFF directory promises more than the file holds")

    def integer(tag: int, default: int | None = None) -> int:
        entry = entries.get(tag)
        if entry is None and default is not None:
            return default
        if entry is None or entry.number != 1 or entry.kind not in INTEGERS:
            raise InvalidImage(f"The TIFF header is damaged: tag {tag}")
        (value,) = struct.unpack_from(order + INTEGERS[entry.kind], entry.value)
        return int(value)

    if DNG_VERSION in entries or data[8:10] == b"CR" or integer(SUBFILE, 0) & 1:  # CR2; a preview
        raise InvalidImage("The TIFF is a raw file (DNG, NEF, ...): its picture is not read")
    width, height, samples = integer(WIDTH), integer(HEIGHT), integer(SAMPLES, 1)
    bits = bits_of(entries, data, order)
    if not 1 <= samples <= MAX_SAMPLES or not 1 <= bits <= MAX_BITS:
        raise InvalidImage(f"The TIFF has {samples} samples a pixel of {bits} bits")
    tile_width, tile_height = integer(TILE_WIDTH, 0), integer(TILE_HEIGHT, 0)
    tile_pixels = tile_width * tile_height
    if tile_width > longest_tile(width) or tile_height > longest_tile(height):
        raise InvalidImage("The tiles of the TIFF are larger than its picture")
    pieces = {
        STRIPS: height,
        TILES: -(-width // max(tile_width, 1)) * -(-height // max(tile_height, 1)),
    }
    for tags, most in pieces.items():
        if any(tag in entries and entries[tag].number > most * max(samples, 1) for tag in tags):
            raise InvalidImage("The TIFF has more pieces than its picture")
    return Directory(width, height, samples * bits / 8, tile_pixels)


def longest_tile(side: int) -> int:
    """The most a tile may measure along a side of the picture. Tiles' sides are multiples of 16."""
    return max(LEAST_TILE, -(-side // 16) * 16)


def bits_of(entries: Mapping[int, Entry], data: bytes, order: str) -> int:
    """The bits of the first sample; 1 is what a TIFF that does not say has."""
    entry = entries.get(BITS)
    if entry is None:
        return 1
    if entry.number <= 2:
        return int(struct.unpack_from(order + "H", entry.value)[0])
    (at,) = struct.unpack(order + "I", entry.value)
    return int(struct.unpack_from(order + "H", data, at)[0])
