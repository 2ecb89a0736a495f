"""The boxes of an ISO-BMFF file, and the items that its box `meta` lists, read without a library.

ISO/IEC 14496-12. Every step is bounded; boxes of other kinds are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from face_service.errors import InvalidImage

MAX_BOXES = 1024
"""Boxes read in one box, or at the top of a file, at most. An iPhone's file has ten at the top, and
some thirty properties."""
MAX_ITEMS = 1024
"""Items of a file at most: tiles, and pictures beside the primary one. 120 megapixels in tiles of
512×512 are 460."""
ONCE = frozenset((b"pitm", b"iinf", b"iprp", b"iref", b"iloc", b"idat"))
"""Boxes of which `meta` has one at most."""
DAMAGED = "The HEIF header is damaged or cut short"


class Box(NamedTuple):
    """A box: its type, and where its content begins and ends in the file."""

    kind: bytes
    begin: int
    end: int


class Extent(NamedTuple):
    """Where the bytes of an item lie in the file."""

    begin: int
    end: int


class Place(NamedTuple):
    """Where an item's data are: `construction_method` (0: the offset is one in the file, 1: in the
    box `idat`), the offset, the bytes of the first piece (0: up to the end), and how many pieces
    there are."""

    method: int
    at: int
    size: int
    pieces: int


NOWHERE = Place(-1, 0, 0, 0)


def boxes(data: bytes, begin: int, end: int) -> Iterator[Box]:
    """The boxes between two offsets, MAX_BOXES at most. Raises InvalidImage where one reaches
    beyond `end`, struct.error where the data end."""
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
            raise InvalidImage(DAMAGED)
        yield Box(kind, begin + head, begin + size)
        begin += size


class Reader:
    """Reads big-endian numbers, one after the other, from the offset `at` on."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def number(self, size: int) -> int:
        """An unsigned number of `size` bytes; 0 for a size of 0. Raises struct.error where the data
        end."""
        value = self.data[self.at : self.at + size]
        if len(value) < size:
            raise struct.error
        self.at += size
        return int.from_bytes(value)

    def full_box(self) -> tuple[int, int]:
        """Version and flags."""
        return self.number(1), self.number(3)

    def count(self, size: int) -> int:
        """A number of items, of `size` bytes. Raises InvalidImage if it is above MAX_ITEMS."""
        found = self.number(size)
        if found > MAX_ITEMS:
            raise InvalidImage("The HEIF header has far too many items")
        return found


class Items:
    """What a box `meta` says of the items of a file.

    The constructor and every method raise InvalidImage for what is damaged, struct.error and
    IndexError where the data end.
    """

    def __init__(self, data: bytes, meta: Box) -> None:
        self.data = data
        self._boxes: dict[bytes, Box] = {}
        for box in boxes(data, meta.begin + 4, meta.end):
            if self._boxes.setdefault(box.kind, box) != box and box.kind in ONCE:
                raise InvalidImage(DAMAGED)  # decoders may differ in which one they take
        self._properties: list[Box] = []
        self._used: dict[int, tuple[bytes, int]] = {}
        for box in self._inside(b"iprp"):
            if box.kind == b"ipco" and not self._properties:
                self._properties = list(boxes(data, box.begin, box.end))
            elif box.kind == b"ipma":
                self._associate(box)
        self.kinds = self._read_kinds()
        self.parts = self._read_parts()
        self._places = self._read_places()

    def primary(self) -> int:
        """The item that is the picture of the file."""
        found = self._reader(b"pitm")
        if not found:
            raise InvalidImage("The HEIF header is damaged: it names no picture")
        reader, version = found
        return reader.number(4 if version else 2)

    def properties(self, item: int) -> list[Box]:
        """The properties of an item, in the order in which they apply."""
        used, size = self._used.get(item, (b"", 1))
        mask = (1 << 8 * size - 1) - 1  # the highest bit: whether it must be understood
        numbers = (int.from_bytes(used[at : at + size]) & mask for at in range(0, len(used), size))
        return [self._properties[n - 1] for n in numbers if 0 < n <= len(self._properties)]

    def extent(self, item: int) -> Extent:
        """Where the data of an item begin and end. Raises InvalidImage where they reach beyond the
        file, are in another file or in several pieces."""
        place = self._places.get(item, NOWHERE)
        if place.method == 1 and b"idat" in self._boxes:
            _, first, last = self._boxes[b"idat"]
        elif place.method == 0:
            first, last = 0, len(self.data)
        else:
            raise InvalidImage("The HEIF header is damaged: its picture is nowhere")
        begin = first + place.at
        end = begin + place.size if place.size else last
        if end > last:
            raise InvalidImage("The HEIF image is cut short")
        if place.pieces > 1:
            raise InvalidImage("The data of the HEIF image are in several pieces: that is not read")
        return Extent(begin, end)

    def _inside(self, kind: bytes) -> Iterator[Box]:
        box = self._boxes.get(kind)
        return boxes(self.data, box.begin, box.end) if box else iter(())

    def _reader(self, kind: bytes) -> tuple[Reader, int] | None:
        """A reader behind the version and flags of a box, and the version; None without it."""
        box = self._boxes.get(kind)
        if box is None:
            return None
        reader = Reader(self.data, box.begin)
        version, _ = reader.full_box()
        return reader, version

    def _associate(self, ipma: Box) -> None:
        """Add the indices of the properties of items, as they are in the file, and the bytes of
        each."""
        reader = Reader(self.data, ipma.begin)
        version, flags = reader.full_box()
        size = 2 if flags & 1 else 1
        for _ in range(reader.count(4)):
            item, count = reader.number(4 if version else 2), reader.number(1)
            if item in self._used:
                raise InvalidImage(DAMAGED)
            self._used[item] = self.data[reader.at : reader.at + count * size], size
            reader.at += count * size

    def _read_kinds(self) -> dict[int, bytes]:
        """The types of the items."""
        found, kinds = self._reader(b"iinf"), dict[int, bytes]()
        if not found:
            return kinds
        reader, version = found
        reader.count(4 if version else 2)
        for box in boxes(self.data, reader.at, self._boxes[b"iinf"].end):
            inside = Reader(self.data, box.begin)
            version, _ = inside.full_box()
            item = inside.number(4 if version == 3 else 2)
            inside.number(2)
            if item in kinds:
                raise InvalidImage(DAMAGED)
            kinds[item] = self.data[inside.at : inside.at + 4]
        return kinds

    def _read_parts(self) -> dict[int, tuple[int, ...]]:
        """What each derived item is put together from."""
        found, parts = self._reader(b"iref"), dict[int, tuple[int, ...]]()
        if not found:
            return parts
        reader, version = found
        size, total = 4 if version else 2, 0
        for box in boxes(self.data, reader.at, self._boxes[b"iref"].end):
            if box.kind == b"dimg":
                inside = Reader(self.data, box.begin)
                item, count = inside.number(size), inside.count(2)
                total += count
                if total > MAX_ITEMS:
                    raise InvalidImage("The HEIF header has far too many tiles")
                if item in parts:
                    raise InvalidImage(DAMAGED)
                parts[item] = tuple(inside.number(size) for _ in range(count))
        return parts

    def _read_places(self) -> dict[int, Place]:
        found, places = self._reader(b"iloc"), dict[int, Place]()
        if not found:
            return places
        reader, version = found
        sizes = reader.number(2)
        offset, length, base, index = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
        index = index if version else 0
        for _ in range(reader.count(4 if version == 2 else 2)):
            item = reader.number(4 if version == 2 else 2)
            method = reader.number(2) & 15 if version else 0
            reader.number(2)
            start, pieces = reader.number(base), reader.number(2)
            if item in places:
                raise InvalidImage(DAMAGED)
            if pieces:
                reader.number(index)
                places[item] = Place(
                    method, start + reader.number(offset), reader.number(length), pieces
                )
                reader.at += (pieces - 1) * (index + offset + length)
        return places
