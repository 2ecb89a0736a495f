"""Strips and tiles of a TIFF that are JPEGs, and whose damage libtiff only warns of."""

from __future__ import annotations

import struct

from face_service.errors import InvalidImage

from .jpeg import END_OF_IMAGE, read_frame
from .jpeg_pixels import decode_jpeg
from .tiff import Directory

JPEG = 7
"""Compression scheme (TIFF Technical Note 2)."""
START_OF_IMAGE = b"\xff\xd8"


def has_damaged_jpeg(data: bytes, directory: Directory) -> bool:
    """Whether a piece is a JPEG that is damaged, as `decode_jpeg` sees it.

    Not looked at: a piece of several scans, whose time has no bound but libtiff's, one with more
    pixels than its part of the picture, and what only libtiff reads.
    """
    if directory.compression != JPEG:
        return False
    return any(
        is_damaged(with_tables(data[at : at + count], directory.jpeg_tables), directory.piece_bytes)
        for at, count in directory.pieces
    )


def is_damaged(jpeg: bytes, most: int) -> bool:
    """Whether `decode_jpeg` refuses a piece; False where it is not looked at. most: bytes of the
    decoded piece; one with more pixels is not looked at."""
    try:
        frame = read_frame(jpeg)
    except (InvalidImage, IndexError, struct.error):
        return False
    if frame.coefficients or frame.width * frame.height > most:
        return False
    try:
        decode_jpeg(jpeg, frame)
    except InvalidImage:
        return True
    return False


def with_tables(piece: bytes, tables: bytes) -> bytes:
    """A piece with the tables that all of them share, which are a JPEG without a picture."""
    if not (tables.startswith(START_OF_IMAGE) and piece.startswith(START_OF_IMAGE)):
        return piece
    end = tables.rfind(END_OF_IMAGE)  # some writers fill up the tag behind it
    return tables[: end if end > 0 else None] + piece[len(START_OF_IMAGE) :]
