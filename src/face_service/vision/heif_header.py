"""The primary picture of a HEIC or AVIF file. ISO/IEC 23008-12 (HEIF), AV1 Image File Format."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from face_service.errors import InvalidImage

from .bmff import DAMAGED, Box, Extent, Items, Reader, boxes
from .coded_size import read_av1_size, read_hevc_size

MAX_BYTES = 1 << 20
"""Bytes of the box `meta` at most: phones write some kilobytes."""
MAX_SHARE, LEAST_PIXELS = 4, 1_000_000
"""All tiles of a picture together may have MAX_SHARE times its pixels; one of fewer pixels than
LEAST_PIXELS counts as having so many."""
HEVC, AV1, GRID, IDENTITY = b"hvc1", b"av01", b"grid", b"iden"
NAMES: Mapping[bytes, str] = MappingProxyType(
    {
        b"avc1": "H.264",
        b"jpeg": "JPEG",
        b"vvc1": "H.266",
        b"unci": "no codec at all",
        b"j2k1": "JPEG 2000",
        b"iovl": "pictures laid over each other",
    }
)
"""Types of items that are not read, and what errors call their codecs."""

Turn = tuple[bytes, tuple[int, ...]]
"""`clap` with its corners (left, top, right, bottom), `irot` with quarter turns to the left, `imir`
with its axis (0: top and bottom change places)."""


class Picture(NamedTuple):
    """The primary item. width, height: pixels, before it is turned."""

    width: int
    height: int
    codec: bytes
    """HEVC or AV1."""
    tile_pixels: int
    """Of the largest tile, or of the picture if it is one piece."""
    bits: int
    """Of a sample."""
    colours: tuple[int, int] | None
    """Primaries and transfer characteristics, as ITU-T H.273 numbers them; None if not given."""
    turns: tuple[Turn, ...]
    """What is to be done to the decoded picture, in this order."""
    extents: tuple[Extent, ...]
    """Where the coded data of the picture, or of its tiles, are."""

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height of its clean aperture, or of all of it, before it is turned."""
        for kind, corners in self.turns:
            if kind == b"clap":
                left, top, right, bottom = corners
                return right - left, bottom - top
        return self.width, self.height


def read_picture(data: bytes) -> Picture:
    """Read the primary item.

    Raises InvalidImage for what is damaged, has far too long a header or too large tiles, or is of
    a codec that is not read; struct.error and IndexError where the data end.
    """
    meta = next((box for box in boxes(data, 0, len(data)) if box.kind == b"meta"), None)
    if meta is None:
        raise InvalidImage("The HEIF file is cut short, or holds no still picture")
    if meta.end - meta.begin > MAX_BYTES:
        raise InvalidImage("The header of the HEIF image is far too long")
    items = Items(data, meta)
    item = items.primary()
    own, kind = items.properties(item), items.kinds.get(item, b"")
    pieces = items.parts.get(item, ()) if kind in (GRID, IDENTITY) else (item,)
    if kind == IDENTITY:
        pieces = pieces[:1]
    width, height = grid_size(items, item, pieces) if kind == GRID else size_of(data, own)
    codecs = {items.kinds.get(piece, b"") for piece in pieces}
    codec = codecs.pop() if len(codecs) == 1 else b""
    if codec not in (HEVC, AV1):
        name = NAMES.get(codec or kind, "an unknown codec")
        raise InvalidImage(f"The HEIF image is coded by {name}, which is not read")
    first = items.properties(pieces[0])
    sizes = tile_sizes(items, pieces, codec)
    if sum(sizes) > MAX_SHARE * max(width * height, LEAST_PIXELS):
        raise InvalidImage("The tiles of the HEIF image are larger than their picture")
    return Picture(
        width=width,
        height=height,
        codec=codec,
        tile_pixels=max(sizes),
        bits=bits_of(data, codec, first),
        colours=colours_of(data, own) or colours_of(data, first),
        turns=tuple(turns_of(data, own, width, height)),
        extents=tuple(map(items.extent, pieces)),
    )


def size_of(data: bytes, properties: list[Box]) -> tuple[int, int]:
    """Width and height of an item (`ispe`). Raises InvalidImage if they lack."""
    for box in properties:
        if box.kind == b"ispe":
            width, height = struct.unpack_from(">II", data, box.begin + 4)
            return width, height
    raise InvalidImage("The HEIF header is damaged: its picture has no size")


def grid_size(items: Items, item: int, tiles: tuple[int, ...]) -> tuple[int, int]:
    """Width and height of a picture that tiles make up. Raises InvalidImage if a tile lacks."""
    reader = Reader(items.data, items.extent(item).begin)
    _, flags = reader.number(1), reader.number(1)
    rows, columns = reader.number(1) + 1, reader.number(1) + 1
    if rows * columns != len(tiles):
        raise InvalidImage("The HEIF header is damaged: its tiles are not all there")
    size = 4 if flags & 1 else 2
    return reader.number(size), reader.number(size)


def tile_sizes(items: Items, tiles: tuple[int, ...], codec: bytes) -> list[int]:
    """The number of pixels of each tile, by `ispe` or by its coded data, whichever is more: a
    decoder allocates memory for the latter first."""
    sizes, known = [], dict[Box, tuple[int, int]]()
    for tile in tiles:
        properties = items.properties(tile)
        if codec == AV1:
            begin, end = items.extent(tile)
            coded = read_av1_size(items.data, begin, end)
        else:
            box = configuration(properties, b"hvcC")
            if box not in known:  # most tiles share it
                known[box] = read_hevc_size(items.data[box.begin : box.end])
            coded = known[box]
        sizes.append(max(w * h for w, h in (coded, size_of(items.data, properties))))
    return sizes


def configuration(properties: list[Box], kind: bytes) -> Box:
    """The box of that kind, which describes a codec. Raises InvalidImage if it lacks."""
    found = next((box for box in properties if box.kind == kind), None)
    if found is None:
        raise InvalidImage("The HEIF header is damaged: its codec is not described")
    return found


def bits_of(data: bytes, codec: bytes, properties: list[Box]) -> int:
    """Bits of a sample, from the description of the codec."""
    if codec == HEVC:
        return (data[configuration(properties, b"hvcC").begin + 17] & 7) + 8
    flags = data[configuration(properties, b"av1C").begin + 2]
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10


def colours_of(data: bytes, properties: list[Box]) -> tuple[int, int] | None:
    """Primaries and transfer characteristics (`colr` of the type nclx); None if not given."""
    for box in properties:
        if box.kind == b"colr" and data.startswith(b"nclx", box.begin):
            primaries, transfer = struct.unpack_from(">HH", data, box.begin + 4)
            return primaries, transfer
    return None


def turns_of(data: bytes, properties: list[Box], width: int, height: int) -> Iterator[Turn]:
    """What is to be done to a picture, in order."""
    for box in properties:
        if box.kind == b"irot":
            yield box.kind, (data[box.begin] & 3,)
        elif box.kind == b"imir":
            yield box.kind, (data[box.begin] & 1,)
        elif box.kind == b"clap":
            yield box.kind, clean_aperture(data, box.begin, width, height)


def clean_aperture(data: bytes, at: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom, in pixels, of what is to be shown (ISO/IEC 14496-12, 12.1.4).
    Raises InvalidImage where that is empty or reaches beyond the picture."""
    numbers = struct.unpack_from(">IIIIiIiI", data, at)
    if not all(numbers[1::2]):
        raise InvalidImage(DAMAGED)
    wide, high, right, down = (n / d for n, d in zip(numbers[::2], numbers[1::2], strict=True))
    left = round((width - wide) / 2 + right)
    top = round((height - high) / 2 + down)
    corners = left, top, left + round(wide), top + round(high)
    if not (0 <= left < corners[2] <= width and 0 <= top < corners[3] <= height):
        raise InvalidImage(DAMAGED)
    return corners
