"""The boxes of a HEIC or AVIF file up to its picture, read without a library.

ISO/IEC 14496-12 (ISOBMFF), 23008-12 (HEIF). Every step is bounded; only the primary item is looked
at, and the tiles it is put together from.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from face_service.errors import InvalidImage

from .coded_size import read_av1_size, read_hevc_size

MAX_BOXES = 1000
"""In one box. An iPhone's file has ten at the top, and some thirty properties."""
MAX_ITEMS = 4000
"""Tiles and pictures beside the primary one."""
MAX_BYTES = 1 << 20
"""Of `meta` that are looked at: phones write some kilobytes."""
PRIMARY = 1
HEVC, AV1, GRID, IDENTITY = b"hvc1", b"av01", b"grid", b"iden"
NAMES: Mapping[bytes, str] = {
    b"avc1": "H.264",
    b"jpeg": "JPEG",
    b"vvc1": "H.266",
    b"unci": "no codec at all",
    b"j2k1": "JPEG 2000",
    b"mime": "text",
    b"iovl": "pictures laid over each other",
}


class Box(NamedTuple):
    """A box: its type, and where its content begins and ends in the file."""

    kind: bytes
    begin: int
    end: int


class Extent(NamedTuple):
    """Where bytes of an item lie in the file."""

    begin: int
    end: int
    single: bool
    """Whether that is all of the item: it may be in several pieces."""


class Picture(NamedTuple):
    """The primary item. width, height: pixels, before it is turned."""

    width: int
    height: int
    codec: bytes
    """HEVC or AV1."""
    tile_pixels: int
    """Of the largest tile, as its codec has it; of the picture where it is one piece."""
    bits: int
    """Of a sample."""
    colours: tuple[int, int] | None
    """Primaries and transfer characteristics, as ITU-T H.273 numbers them; None: not said."""
    turns: tuple[tuple[bytes, tuple[int, ...]], ...]
    """What is to be done to the decoded picture, in this order: `clap` with its four corners (left,
    top, right, bottom), `irot` with quarter turns to the left, `imir` with its axis."""
    extents: tuple[Extent, ...]
    """Where the coded data of the picture, or of its tiles, are."""


def read_picture(data: bytes) -> Picture:
    """Read the primary item.

    Raises InvalidImage for what is damaged, promises too much, or is of a codec that is not read;
    struct.error and IndexError where the data end.
    """
    meta = next((box for box in boxes(data, 0, len(data)) if box.kind == b"meta"), None)
    if meta is None:
        raise InvalidImage("The file holds no still picture")
    if meta.end - meta.begin > MAX_BYTES:
        raise InvalidImage("The header of the HEIF image is far too long")
    return Meta(data, meta).picture()


def boxes(data: bytes, begin: int, end: int) -> Iterator[Box]:
    """The boxes between two places, at most MAX_BOXES. Raises InvalidImage where one does not fit,
    struct.error where the data end."""
    for _ in range(MAX_BOXES):
        if begin >= end:
            return
        size, kind = struct.unpack_from(">I4s", data, begin)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, begin + 8)
            head = 16
        elif size == 0:
            size = end - begin
        if size < head or begin + size > end:
            raise InvalidImage("The HEIF header is damaged or cut short")
        yield Box(kind, begin + head, begin + size)
        begin += size


class Reader:
    """Numbers, one after the other, from a place in the file on."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def number(self, size: int) -> int:
        """An unsigned number of so many bytes; of none 0. Raises struct.error where data end."""
        value = self.data[self.at : self.at + size]
        if len(value) < size:
            raise struct.error
        self.at += size
        return int.from_bytes(value)

    def full_box(self) -> tuple[int, int]:
        """Version and flags."""
        return self.number(1), self.number(3)


class Meta:
    """The boxes of `meta`, and what they say of the primary item."""

    def __init__(self, data: bytes, meta: Box) -> None:
        self._data = data
        self._boxes = {box.kind: box for box in boxes(data, meta.begin + 4, meta.end)}
        properties = {box.kind: box for box in self._inside(b"iprp")}
        if b"ipco" not in properties or b"ipma" not in properties:
            raise InvalidImage("The HEIF header is damaged: its picture has no properties")
        self._properties = list(boxes(data, properties[b"ipco"].begin, properties[b"ipco"].end))
        self._used = self._associations(properties[b"ipma"])
        self._kinds = self._read_kinds()
        self._tiles = self._read_tiles()
        self._places = self._read_places()

    def picture(self) -> Picture:
        """The primary item. Raises InvalidImage."""
        item = self._primary()
        kind = self._kinds.get(item, b"")
        own = self._of(item)
        pieces = self._tiles.get(item, ()) if kind in (GRID, IDENTITY) else (item,)
        width, height = self._size(own)
        if kind == GRID:
            width, height = self._grid(item, len(pieces))
        codecs = {self._kinds.get(piece, b"") for piece in pieces}
        codec = codecs.pop() if len(codecs) == 1 else b""
        if codec not in (HEVC, AV1):
            name = NAMES.get(codec or kind, "an unknown codec")
            raise InvalidImage(f"The HEIF image is coded by {name}, which is not read")
        extents = tuple(self._extent(piece) for piece in pieces)
        first = self._of(pieces[0])
        sizes = [self._size(self._of(piece)) for piece in pieces]
        sizes += [
            self._coded(codec, piece, where) for piece, where in zip(pieces, extents, strict=True)
        ]
        return Picture(
            *(width, height, codec, max(w * h for w, h in sizes), self._bits(codec, first)),
            *(self._colours(own) or self._colours(first), tuple(self._turns(own, width, height))),
            extents,
        )

    def _inside(self, kind: bytes) -> Iterator[Box]:
        box = self._boxes.get(kind)
        return boxes(self._data, box.begin, box.end) if box else iter(())

    def _reader(self, kind: bytes) -> tuple[Reader, int, int] | None:
        """A reader behind the version and flags of a box in `meta`, and both; None without it."""
        box = self._boxes.get(kind)
        if box is None:
            return None
        reader = Reader(self._data, box.begin)
        return reader, *reader.full_box()

    def _primary(self) -> int:
        found = self._reader(b"pitm")
        if not found:
            raise InvalidImage("The HEIF header is damaged: it names no picture")
        reader, version, _ = found
        return reader.number(4 if version else 2)

    def _read_kinds(self) -> dict[int, bytes]:
        """The types of the items."""
        found, kinds = self._reader(b"iinf"), dict[int, bytes]()
        if not found:
            return kinds
        reader, version, _ = found
        if reader.number(4 if version else 2) > MAX_ITEMS:
            raise InvalidImage("The HEIF header has far too many items")
        at, end = reader.at, self._boxes[b"iinf"].end
        while at < end:
            (size,) = struct.unpack_from(">I", self._data, at)
            if size < 12 or at + size > end or len(kinds) > MAX_ITEMS:
                raise InvalidImage("The HEIF header is damaged: its items do not fit")
            reader = Reader(self._data, at + 8)
            version, _ = reader.full_box()
            item = reader.number(4 if version == 3 else 2)
            reader.number(2)
            kinds[item] = self._data[reader.at : reader.at + 4]
            at += size
        return kinds

    def _read_tiles(self) -> dict[int, tuple[int, ...]]:
        """What each derived item is put together from."""
        found, tiles = self._reader(b"iref"), dict[int, tuple[int, ...]]()
        if not found:
            return tiles
        reader, version, _ = found
        size, total = 4 if version else 2, 0
        for box in boxes(self._data, reader.at, self._boxes[b"iref"].end):
            if box.kind == b"dimg":
                inside = Reader(self._data, box.begin)
                item, count = inside.number(size), inside.number(2)
                total += count
                if total > MAX_ITEMS:
                    raise InvalidImage("The HEIF header has far too many tiles")
                tiles[item] = tuple(inside.number(size) for _ in range(count))
        return tiles

    def _read_places(self) -> dict[int, tuple[int, int, int, int]]:
        """How the offset of an item is meant (`construction_method`), its offset and length, of
        several pieces those of the first, and how many there are."""
        found, places = self._reader(b"iloc"), dict[int, tuple[int, int, int, int]]()
        if not found:
            return places
        reader, version, _ = found
        sizes = reader.number(2)
        offset, length, base, index = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
        items = reader.number(4 if version == 2 else 2)
        pieces = 0
        for _ in range(min(items, MAX_ITEMS)):
            item = reader.number(4 if version == 2 else 2)
            method = reader.number(2) & 15 if version else 0
            reader.number(2)
            start, count = reader.number(base), reader.number(2)
            pieces += count
            if pieces > 2 * MAX_ITEMS:
                raise InvalidImage("The HEIF header has far too many pieces")
            for piece in range(count):
                reader.number(index if version else 0)
                at, size = start + reader.number(offset), reader.number(length)
                if not piece:
                    places[item] = method, at, size, count
        return places

    def _associations(self, ipma: Box) -> dict[int, list[int]]:
        """The indices, from 1, of the properties of the items."""
        reader = Reader(self._data, ipma.begin)
        version, flags = reader.full_box()
        used: dict[int, list[int]] = {}
        for _ in range(min(reader.number(4), MAX_ITEMS)):
            item, count = reader.number(4 if version else 2), reader.number(1)
            wide = flags & 1
            used[item] = [
                reader.number(2) & 0x7FFF if wide else reader.number(1) & 0x7F for _ in range(count)
            ]
        return used

    def _of(self, item: int) -> list[Box]:
        """The properties of an item, in the order in which they apply."""
        indices = self._used.get(item, ())
        return [self._properties[n - 1] for n in indices if 0 < n <= len(self._properties)]

    def _size(self, properties: list[Box]) -> tuple[int, int]:
        for box in properties:
            if box.kind == b"ispe":
                width, height = struct.unpack_from(">II", self._data, box.begin + 4)
                return width, height
        raise InvalidImage("The HEIF header is damaged: its picture has no size")

    def _grid(self, item: int, tiles: int) -> tuple[int, int]:
        """Width and height of a picture that tiles make up."""
        where = self._extent(item)
        reader = Reader(self._data, where.begin)
        _, flags = reader.number(1), reader.number(1)
        rows, columns = reader.number(1) + 1, reader.number(1) + 1
        if rows * columns != tiles:
            raise InvalidImage("The HEIF header is damaged: its tiles are not all there")
        size = 4 if flags & 1 else 2
        return reader.number(size), reader.number(size)

    def _extent(self, item: int) -> Extent:
        """Where the data of an item begin and end. Raises InvalidImage where the file is shorter,
        and for what is in another file."""
        method, at, size, count = self._places.get(item, (-1, 0, 0, 0))
        if method == 1 and b"idat" in self._boxes:
            idat = self._boxes[b"idat"]
            begin, last = idat.begin + at, idat.end
        elif method == 0:
            begin, last = at, len(self._data)
        else:
            raise InvalidImage("The HEIF header is damaged: its picture is nowhere")
        end = begin + size if size else last
        if end > last:
            raise InvalidImage("The HEIF image is cut short")
        return Extent(begin, end, count == 1)

    def _bits(self, codec: bytes, properties: list[Box]) -> int:
        """Bits of a sample, from the configuration of the codec."""
        for box in properties:
            if codec == HEVC and box.kind == b"hvcC":
                return (self._data[box.begin + 17] & 7) + 8
            if codec == AV1 and box.kind == b"av1C":
                flags = self._data[box.begin + 2]
                return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
        raise InvalidImage("The HEIF header is damaged: its codec is not described")

    def _coded(self, codec: bytes, item: int, where: Extent) -> tuple[int, int]:
        """Width and height that the coded data themselves claim."""
        if codec == AV1:
            return read_av1_size(self._data[where.begin : where.end])
        box = next((box for box in self._of(item) if box.kind == b"hvcC"), None)
        if box is None:
            raise InvalidImage("The HEIF header is damaged: its codec is not described")
        return read_hevc_size(self._data[box.begin : box.end])

    def _colours(self, properties: list[Box]) -> tuple[int, int] | None:
        for box in properties:
            if box.kind == b"colr" and self._data.startswith(b"nclx", box.begin):
                primaries, transfer = struct.unpack_from(">HH", self._data, box.begin + 4)
                return primaries, transfer
        return None

    def _turns(
        self, properties: list[Box], width: int, height: int
    ) -> Iterator[tuple[bytes, tuple[int, ...]]]:
        for box in properties:
            if box.kind in (b"irot", b"imir"):
                yield box.kind, (self._data[box.begin] & (3 if box.kind == b"irot" else 1),)
            elif box.kind == b"clap":
                yield box.kind, clean_aperture(self._data, box.begin, width, height)


def clean_aperture(data: bytes, at: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is to be shown (ISO/IEC 14496-12, 12.1.4). Raises
    InvalidImage where that is nothing."""
    numbers = struct.unpack_from(">IIIIiIiI", data, at)
    if not all(numbers[1::2]):
        raise InvalidImage("The HEIF header is damaged: its clean aperture")
    wide, high, right, down = (n / d for n, d in zip(numbers[::2], numbers[1::2], strict=True))
    left = round((width - wide) / 2 + right)
    top = round((height - high) / 2 + down)
    corners = left, top, left + round(wide), top + round(high)
    if not (0 <= left < corners[2] <= width and 0 <= top < corners[3] <= height):
        raise InvalidImage("The HEIF header is damaged: its clean aperture")
    return corners
