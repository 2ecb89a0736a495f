"""Strips and tiles of a TIFF that lack data where libtiff does not say so.

Where a piece cannot be decoded OpenCV 4.14 leaves the rest of it black and goes on: it tells
libtiff not to stop at errors (TIFFReadRGBAStrip).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

LZW, JPEG, DEFLATE, OLD_DEFLATE = 5, 7, 8, 32946
"""Compression schemes."""
ZEROS = bytes(32)
"""What a disk or a copy that broke off leaves in place of data."""
END_OF_JPEG = b"\xff\xd9"
CHUNK = 1 << 14
"""Bytes that are inflated at once: a thousand times as many come out at most."""

Lost = Callable[[bytes, int, int, int], bool]
"""Whether a piece lacks data: called with the file, where the piece begins and ends in it, and the
bytes that the piece has when it is decoded."""


def lost_of_lzw(data: bytes, begin: int, end: int, _: int) -> bool:
    """Whether it has ZEROS: LZW has no such run, for two equal codes in a row become a new one."""
    return data.find(ZEROS, begin, end) >= 0


def lost_of_jpeg(data: bytes, begin: int, end: int, _: int) -> bool:
    """Whether zeros stand at its end in place of data: whether no end marker precedes them. A piece
    that lacks only the marker is whole."""
    piece = data[begin:end]
    return piece.endswith(ZEROS) and not piece.rstrip(b"\0").endswith(END_OF_JPEG)


def lost_of_deflate(data: bytes, begin: int, end: int, size: int) -> bool:
    """Whether it is no Deflate, has a wrong checksum, or does not end within about twice `size`
    decoded bytes. Zeros alone tell nothing: they may be valid codes."""
    inflate, made = zlib.decompressobj(), 0
    end = min(end, len(data))  # a directory may promise any number of bytes, up to 2^64
    try:
        for at in range(begin, end, CHUNK):
            made += len(inflate.decompress(data[at : min(at + CHUNK, end)]))
            if inflate.eof or made > 2 * size:
                break
    except zlib.error:
        return True
    return not inflate.eof


LOST: Mapping[int, Lost] = MappingProxyType(
    {
        LZW: lost_of_lzw,
        JPEG: lost_of_jpeg,
        DEFLATE: lost_of_deflate,
        OLD_DEFLATE: lost_of_deflate,
    }
)
"""By compression scheme. In the others lost data cannot be told."""


def has_lost_bytes(
    data: bytes, compression: int, pieces: tuple[tuple[int, int], ...], size: int
) -> bool:
    """Whether a piece lacks data. pieces: offset and byte count of each. size: bytes of one when it
    is decoded."""
    lost = LOST.get(compression)
    return lost is not None and any(lost(data, at, at + count, size) for at, count in pieces)
