"""The directories of a TIFF or BigTIFF, read without a library. TIFF 6.0, section 2."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from face_service.errors import InvalidImage

MAX_ENTRIES = 4096
"""Of a directory: libtiff's own limit."""
MAX_DIRECTORIES = 16
"""Directories that are looked at for the picture, where previews come before it."""
MAX_SAMPLES, MAX_BITS = 16, 64
"""Of a pixel, and of a sample: more than any picture of a camera, a scanner or a program has."""
LEAST_TILE = 1024
"""Longest side of a tile, in pixels; in a picture with a longer side, that side."""

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
"""Bytes of a value by its type."""
INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
WIDTH, HEIGHT, BITS, SAMPLES = 256, 257, 258, 277
ROWS_A_STRIP, TILE_WIDTH, TILE_HEIGHT = 278, 322, 323
SUBFILE, COMPRESSION, PHOTOMETRIC, SUB_DIRECTORIES = 254, 259, 262, 330
PLANAR, SAMPLE_FORMAT, JPEG_TABLES, DNG_VERSION = 284, 339, 347, 50706
STRIPS, TILES = (273, 279), (324, 325)
"""Offsets and byte counts."""
MAX_PIECES = 10_000
"""Strips or tiles that are looked at for lost data."""
SIGNED, FLOAT, UNDEFINED = 2, 3, 4
"""Sample formats: with a sign; floating-point (IEEE); undefined, which is taken as without a sign,
as 1 is. 5 and 6 are complex numbers."""
WHITE_IS_ZERO, GREY, RGB, PALETTE, CMYK, MOSAICS = 0, 1, 2, 3, 5, (32803, 34892)
"""Photometric interpretations: 0 is white, or black; colours; a table of them; inks; the samples of
a sensor (TIFF/EP, DNG)."""
PACKED = (10, 12, 14)
"""Numbers of bits of samples that lie in the file without a gap."""
MOST_SAMPLES = 4
"""Samples of a pixel that OpenCV reads."""
READ = frozenset((1, 2, 3, 4, 5, 7, 8, 32771, 32773, 32946, 34676, 34677))
"""Compression schemes that OpenCV's libtiff reads. Of any other it gives a black picture."""
COMPRESSIONS: Mapping[int, str] = MappingProxyType(
    {
        6: "JPEG in the old style (compression 6)",
        34661: "JBIG",
        34712: "JPEG 2000",
        34887: "LERC",
        34925: "LZMA",
        34933: "PNG",
        34934: "JPEG XR",
        50000: "Zstandard",
        50001: "WebP",
        50002: "JPEG XL",
        52546: "JPEG XL",
    }
)
"""Names of some others."""
RAW = (
    "The TIFF is a camera's raw file (DNG, NEF, ...) or has no more than a preview of its picture: "
    "convert the picture to JPEG"
)


class Layout(NamedTuple):
    """How offsets and directories are written, as `struct` names it: the byte order, an offset, the
    number of entries, and an entry."""

    order: str
    offset: str
    number: str
    entry: str
    first: int
    """Where the offset of the first directory is."""

    def size(self, form: str) -> int:
        """Bytes of an item of that form."""
        return struct.calcsize(self.order + form)


class Entry(NamedTuple):
    """An entry of a directory: the type of its values, how many, and the values or their offset."""

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
    bits: int
    """Of a sample."""
    floating: bool
    """Whether samples are floating-point numbers."""
    at: int
    """Where it is in the file."""
    first: int
    """Where the offset of the first directory is, and its form for struct."""
    offset: str
    white_is_zero: bool = False
    planar: bool = False
    """Whether it keeps its samples in planes: the first sample of all pixels, then the second."""
    compression: int = 1
    pieces: tuple[tuple[int, int], ...] = ()
    """Offset and byte count of the first MAX_PIECES strips or tiles."""
    piece_bytes: int = 0
    """Of one of them when it is decoded."""
    jpeg_tables: bytes = b""
    """Tables that all of them share where they are JPEGs."""


def read_directory(data: bytes) -> Directory:
    """Read the first directory, or where that is a preview the first one that is not.

    Raises InvalidImage if it declares more entries, samples, tiles or bytes than the picture or the
    file can have, and for what is not read; struct.error where the data end.
    """
    layout = layout_of(data)
    for number, (at, entries) in enumerate(directories(data, layout)):
        tags = Tags(data, layout, entries)
        if DNG_VERSION in entries or data[8:10] == b"CR":  # CR2
            raise InvalidImage(RAW)
        photometric = tags.integer(PHOTOMETRIC, 0)
        if photometric in MOSAICS:
            raise InvalidImage(RAW)
        if not tags.integer(SUBFILE, 0) & 1 and (WIDTH in entries or not number):
            return picture_of(tags, at)
    raise InvalidImage(RAW)


def layout_of(data: bytes) -> Layout:
    """The layout, by the byte order and the version in the first bytes."""
    order = "<" if data.startswith(b"II") else ">"
    if data[2:4] in (b"+\x00", b"\x00+"):
        return Layout(order, "Q", "Q", "HHQ8s", 8)
    return Layout(order, "I", "H", "HHI4s", 4)


def directories(data: bytes, layout: Layout) -> Iterator[tuple[int, dict[int, Entry]]]:
    """Offsets and entries of the directories: the chain, and behind each those below it, at most
    MAX_DIRECTORIES. Raises as `read_directory` does."""
    order, offset, number, form, first = layout
    pending = [struct.unpack_from(order + offset, data, first)[0]]
    for _ in range(MAX_DIRECTORIES):
        if not pending or not pending[0]:
            return
        at = pending.pop(0)
        (count,) = struct.unpack_from(order + number, data, at)
        if count > MAX_ENTRIES:
            raise InvalidImage(f"The TIFF directory has {count} entries")
        begin = at + layout.size(number)
        end = begin + layout.size(form) * count
        listed = data[begin:end]
        if len(listed) < end - begin:
            raise struct.error
        entries: dict[int, Entry] = {}
        held = 0
        for tag, *rest in struct.iter_unpack(order + form, listed):
            entry = Entry(*rest)
            entries.setdefault(tag, entry)  # of two libtiff takes the first
            held += entry.number * SIZES.get(entry.kind, 1)
        if held > len(data) + len(listed):  # small ones lie in the directory
            raise InvalidImage("The TIFF directory promises more than the file holds")
        yield at, entries
        below = Tags(data, layout, entries).integers(SUB_DIRECTORIES, MAX_DIRECTORIES)
        following = struct.unpack_from(order + offset, data, end)
        pending = [*below, *pending, *following]


class Tags:
    """The entries of a directory by their tags."""

    def __init__(self, data: bytes, layout: Layout, entries: Mapping[int, Entry]) -> None:
        self.layout, self.entries = layout, entries
        self._data = data

    def integer(self, tag: int, default: int | None = None) -> int:
        """The value of an entry that has one; `default` if there is no entry. Else InvalidImage."""
        entry = self.entries.get(tag)
        if entry is None and default is not None:
            return default
        if entry is None or entry.number != 1 or entry.kind not in INTEGERS:
            raise InvalidImage(f"The TIFF header is damaged: tag {tag}")
        return self._numbers(entry.value, entry.kind, 1)[0]

    def integers(self, tag: int, most: int) -> tuple[int, ...]:
        """The first values of an entry, wherever they are; none if there is no entry."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in INTEGERS:
            return ()
        number = min(entry.number, most)
        if entry.number * struct.calcsize("<" + INTEGERS[entry.kind]) <= len(entry.value):
            return self._numbers(entry.value, entry.kind, number)
        (at,) = struct.unpack(self.layout.order + self.layout.offset, entry.value)
        size = struct.calcsize("<" + INTEGERS[entry.kind]) * number
        return self._numbers(self._data[at : at + size], entry.kind, number)

    def content(self, tag: int) -> bytes:
        """The bytes of an entry of bytes; none if there is no entry."""
        entry = self.entries.get(tag)
        if entry is None or SIZES.get(entry.kind) != 1:
            return b""
        if entry.number <= len(entry.value):
            return entry.value[: entry.number]
        (at,) = struct.unpack(self.layout.order + self.layout.offset, entry.value)
        return self._data[at : at + entry.number]

    def _numbers(self, value: bytes, kind: int, number: int) -> tuple[int, ...]:
        return struct.unpack_from(f"{self.layout.order}{number}{INTEGERS[kind]}", value)


def picture_of(tags: Tags, at: int) -> Directory:
    """The picture of a directory. Raises InvalidImage as `read_directory` does."""
    entries, integer = tags.entries, tags.integer
    width, height, samples = integer(WIDTH), integer(HEIGHT), integer(SAMPLES, 1)
    bits = (tags.integers(BITS, 1) or (1,))[0]  # 1 is what a TIFF that does not say has
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
    for pair, most in pieces.items():
        if any(tag in entries and entries[tag].number > most * max(samples, 1) for tag in pair):
            raise InvalidImage("The TIFF has more pieces than its picture")
    form = (tags.integers(SAMPLE_FORMAT, 1) or (1,))[0]
    compression, photometric = integer(COMPRESSION, 1), integer(PHOTOMETRIC, 0)
    refuse_unread(compression, form, bits, samples, photometric)
    planar = samples > 1 and integer(PLANAR, 1) == 2
    rows = max(1, min(height, integer(ROWS_A_STRIP, height) or height))
    piece = (tile_width, tile_height) if tile_pixels else (width, rows)
    bits_a_pixel = bits if planar else bits * samples
    layout = tags.layout
    return Directory(
        width=width,
        height=height,
        pixel_bytes=samples * bits / 8,
        tile_pixels=tile_pixels,
        bits=bits,
        floating=form == FLOAT,
        at=at,
        first=layout.first,
        offset=layout.order + layout.offset,
        white_is_zero=photometric == WHITE_IS_ZERO,
        planar=planar,
        compression=compression,
        pieces=pieces_of(tags, -(-height // rows) * samples),
        piece_bytes=-(-piece[0] * bits_a_pixel // 8) * piece[1],
        jpeg_tables=tags.content(JPEG_TABLES),
    )


def pieces_of(tags: Tags, strips: int) -> tuple[tuple[int, int], ...]:
    """Offset and byte count of the first MAX_PIECES tiles, or `strips` at most."""
    pair, most = (TILES, MAX_PIECES) if TILES[0] in tags.entries else (STRIPS, strips)
    offsets, counts = (tags.integers(tag, min(most, MAX_PIECES)) for tag in pair)
    return tuple(zip(offsets, counts, strict=False))


def refuse_unread(compression: int, form: int, bits: int, samples: int, photometric: int) -> None:
    """Raise InvalidImage, with the reason, for what OpenCV does not read, or reads wrong."""
    if compression not in READ:
        name = COMPRESSIONS.get(compression, f"scheme {compression}")
        raise InvalidImage(
            f"The TIFF is compressed by {name}, which is not read: save it with LZW or Deflate"
        )
    if form == FLOAT and bits not in (32, 64):
        raise InvalidImage(f"The TIFF has floating-point samples of {bits} bits: 32 or 64 are read")
    if form == SIGNED:
        raise InvalidImage("The TIFF has samples with a sign, which are not read: save it without")
    if form != FLOAT and bits > 16:
        raise InvalidImage(f"The TIFF has integer samples of {bits} bits: at most 16 are read")
    if photometric == CMYK and bits > 8:
        raise InvalidImage(f"The TIFF has inks of {bits} bits: 8 are read")
    if form > UNDEFINED:
        raise InvalidImage("The TIFF has complex numbers for samples, which are not read")
    if samples > MOST_SAMPLES:
        raise InvalidImage(
            f"The TIFF has {samples} samples a pixel: at most {MOST_SAMPLES} are read"
        )
    if form != FLOAT and not are_read(bits, samples, photometric):
        raise InvalidImage(
            f"The TIFF has {samples}x{bits} bits a pixel, which is not read: save it with 8 each"
        )


def are_read(bits: int, samples: int, photometric: int) -> bool:
    """Whether OpenCV reads integer samples of so many bits."""
    if bits in PACKED:
        return photometric in (GREY, RGB) and samples != 2
    if bits < 8:
        return samples == 1 and (bits == 1 or (bits == 4 and photometric == PALETTE))
    return bits in (8, 16)


def pointed_at(data: bytes, directory: Directory) -> bytes:
    """The file with that directory as its first, the only one that a decoder reads."""
    pointer = struct.pack(directory.offset, directory.at)
    if data.startswith(pointer, directory.first):
        return data
    return b"".join((data[: directory.first], pointer, data[directory.first + len(pointer) :]))


def longest_tile(side: int) -> int:
    """Longest side of a tile, in pixels, along a side of the picture. They are multiples of 16."""
    return max(LEAST_TILE, -(-side // 16) * 16)
