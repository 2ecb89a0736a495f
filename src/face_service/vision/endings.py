"""Whether a GIF, a WebP, a BMP or a TIFF is whole, where no decoder would tell."""

from __future__ import annotations

import struct

GIF_HEADER = 13
MAX_BLOCKS = 5_000_000
"""Blocks of a GIF, sub-blocks counted, that are walked over up to the end of its first frame: they
take a fifth of a second. 1 GB in blocks of 255 bytes has four million."""
EXTENSION, FRAME, TRAILER = 0x21, 0x2C, b";"
BMP_HEADER, TIFF_BEGINNING = 26, 64
"""Bytes at the beginning of a BMP, up to the end of its size in pixels, and of a TIFF. A whole file
has them once; see `is_torn`."""
RIFF_CHUNK, RIFF_HEADER = 8, 16
"""Bytes of a chunk's header, and of a file in front of the length of its first chunk."""
ANIMATION_FRAME = 16
"""Bytes of an ANMF chunk's content in front of the chunks of its frame."""
MAX_CHUNKS = 1000
"""Chunks of a WebP that are looked at for its first picture."""
FEW_ZEROS, PIXELS_A_ZERO = 64, 4000
"""FEW_ZEROS zero bytes in a row, and one more for every PIXELS_A_ZERO pixels, are what a disk or a
copy that broke off leaves in place of data. For 12 megapixels that is 3,064; a whole white sheet
has 1,114 (libwebp 1.6, -q 10 -m 4)."""


def first_frame(gif: bytes) -> bytes | None:
    """A GIF up to the end of its first frame (GIF89a, 18 to 26), all that is read of it, and a
    trailer. The frame may lack its last byte, the terminator; None where it lacks more, or is more
    than MAX_BLOCKS away."""
    try:
        at = GIF_HEADER + colour_table(gif[10])
        left = iter(range(MAX_BLOCKS))
        for _ in left:
            kind = gif[at]
            if kind == FRAME:
                at += 11 + colour_table(gif[at + 9])
            elif kind == EXTENSION:
                at += 2
            else:
                return None
            for _ in left:
                if kind == FRAME and at == len(gif):  # the terminator may lack
                    gif += b"\x00"
                size = gif[at]
                at += 1 + size
                if not size:
                    break
            else:
                return None
            if kind == FRAME:
                return gif[:at] + TRAILER if at <= len(gif) else None
    except IndexError:
        pass
    return None


def colour_table(flags: int) -> int:
    """Bytes of the colour table, by the packed fields of a screen or a frame; 0 without one."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def is_torn(data: bytes, length: int) -> bool:
    """Whether the first `length` bytes of a file come again inside it, as where half of a file was
    written, and then all of it or another one behind that."""
    return data.find(data[:length], length) >= 0


def whole_webp(data: bytes, pixels: int) -> bytes | None:
    """A WebP of so many pixels, with the padding byte at its end if that is all it lacks (RFC 9649,
    2.3).

    None where another begins inside, as where half of a file was written, or where zeros stand in
    place of data: libwebp decodes both without an error.
    """
    (size,) = struct.unpack_from("<I", data, 4)
    end = RIFF_CHUNK + size
    if data.find(data[:RIFF_HEADER], RIFF_HEADER, end) >= 0:
        return None
    at = RIFF_HEADER - 4
    for _ in range(MAX_CHUNKS):
        if at + RIFF_CHUNK > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        at += RIFF_CHUNK
        if kind in (b"VP8 ", b"VP8L"):
            zeros = bytes(FEW_ZEROS + pixels // PIXELS_A_ZERO)
            if data.find(zeros, at, at + length) >= 0:
                return None
            break
        at += ANIMATION_FRAME if kind == b"ANMF" else length + length % 2
    return data + b"\x00" if len(data) == end - 1 else data
