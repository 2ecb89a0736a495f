"""AVIF in tiles, as large pictures are written, which Pillow does not write by itself.

ISO/IEC 14496-12 (boxes), 23008-12 (HEIF: items, grids).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import cv2
import numpy as np

from face_service.vision.blob import Image
from face_service.vision.bmff import Box, Items, boxes
from tests.hostile.pictures import box

ESSENTIAL = 0x80
"""Of a property's number: that it must be understood."""
GRID = 1
"""The number of the item that the tiles make up; theirs follow."""


def avif_grid(image: Image, side: int, write: Callable[[Image], bytes]) -> bytes:
    """An image in square tiles, those at the right and the lower edge filled up, each coded as the
    primary item of what `write` gives for it."""
    height, width = image.shape[:2]
    rows, columns = -(-height // side), -(-width // side)
    filled = cv2.copyMakeBorder(
        image, 0, rows * side - height, 0, columns * side - width, cv2.BORDER_REPLICATE
    )
    tiles = [
        primary(write(np.ascontiguousarray(tile)))
        for row in np.split(filled, rows)
        for tile in np.split(row, columns, axis=1)
    ]
    coded = [data for data, _ in tiles]
    numbers = range(GRID + 1, GRID + 1 + len(tiles))
    shared = [tiles[0][1][kind] for kind in (b"av1C", b"pixi", b"colr")]
    used: dict[int, tuple[int, ...]] = {GRID: (1, 4, 5)}
    used |= dict.fromkeys(numbers, (2, 3 | ESSENTIAL, 4, 5))
    properties = box(b"ipco", size(width, height), size(side, side), *shared)
    associations = [struct.pack(">HB", item, len(of)) + bytes(of) for item, of in used.items()]
    kinds = {GRID: b"grid"} | dict.fromkeys(numbers, b"av01")
    tiled = struct.pack(f">HH{len(tiles)}H", GRID, len(tiles), *numbers)
    listed = [
        full(b"infe", struct.pack(">HH4sx", item, 0, kind), 2) for item, kind in kinds.items()
    ]
    content = (
        full(b"hdlr", struct.pack(">I4s13x", 0, b"pict")),
        full(b"pitm", struct.pack(">H", GRID)),
        full(b"iinf", struct.pack(">H", len(kinds)), *listed),
        full(b"iref", box(b"dimg", tiled)),
        box(b"iprp", properties, full(b"ipma", struct.pack(">I", len(used)), *associations)),
        box(b"idat", struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)),
    )
    head = box(b"ftyp", b"avif", bytes(4), b"avif", b"mif1", b"miaf")
    before = len(head) + len(full(b"meta", *content, places(coded, 0))) + len(box(b"mdat"))
    meta = full(b"meta", *content, places(coded, before))
    return b"".join((head, meta, box(b"mdat", *coded)))


def primary(file: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """The coded data of the primary item, and its properties by their types."""
    meta = next(each for each in boxes(file, 0, len(file)) if each.kind == b"meta")
    items = Items(file, meta)
    begin, end = items.extent(items.primary())
    found: list[Box] = items.properties(items.primary())
    return file[begin:end], {each.kind: file[each.begin - 8 : each.end] for each in found}


def full(kind: bytes, *content: bytes | int) -> bytes:
    """A box with a version, the last of `content` if that is a number, and flags."""
    version = content[-1] if isinstance(content[-1], int) else 0
    inside = [each for each in content if isinstance(each, bytes)]
    return box(kind, bytes((version, 0, 0, 0)), *inside)


def size(width: int, height: int) -> bytes:
    """The property of that size."""
    return full(b"ispe", struct.pack(">II", width, height))


def places(coded: list[bytes], at: int) -> bytes:
    """Where items are: the grid's in `idat`, the tiles' one after the other from `at` on."""
    listed = struct.pack(">HHHHII", GRID, 1, 0, 1, 0, 8)
    for number, data in enumerate(coded, GRID + 1):
        listed += struct.pack(">HHHHII", number, 0, 0, 1, at, len(data))
        at += len(data)
    return full(b"iloc", struct.pack(">HH", 0x4400, len(coded) + 1), listed, 1)
