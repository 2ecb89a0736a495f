"""The chunks of a PNG, walked over before a decoder sees them. PNG, third edition."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

FIRST_CHUNK = 8
FRAME = 12
"""Bytes of a chunk beside its content: length, type and CRC (5.3)."""
MAX_CHUNKS = 100_000
"""Chunks that are walked over. Encoders write 8 kB and more in each: 4,000 in 32 MB."""
KEPT = frozenset({b"IHDR", b"PLTE", b"IDAT", b"eXIf", b"cICP"})
"""What the pixels, their colours and their orientation need."""
END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))


class Chunks(NamedTuple):
    """What a PNG consists of."""

    whole: bool
    """Whether every chunk, up to IEND, ends inside the file."""
    kinds: frozenset[bytes]
    """Types of the chunks that end inside it."""
    end: int
    """Where the last of them ends."""
    colours: tuple[int, int] | None
    """Primaries and transfer characteristics of cICP, as ITU-T H.273 numbers them; None without."""
    still: bool
    """Whether the picture that a program without animations shows is the first frame of an
    animation: whether an fcTL stands in front of its pixels (IDAT)."""


def read_chunks(data: bytes) -> Chunks | None:
    """Walk over the chunks; None if there are more than MAX_CHUNKS.

    OpenCV 4.14 allocates as many bytes as a chunk says it has, up to 4 GB, before it reads
    them.
    """
    position, kinds, colours, still = FIRST_CHUNK, set[bytes](), None, False
    for _ in range(MAX_CHUNKS):
        if position + FRAME > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, position)
        following = position + FRAME + length
        if following > len(data):
            break
        if kind == b"cICP" and length == 4 and b"IDAT" not in kinds:
            colours = data[position + 8], data[position + 9]
        still = still or (kind == b"IDAT" and b"fcTL" in kinds)
        position = following
        kinds.add(kind)
        if kind == b"IEND":
            return Chunks(True, frozenset(kinds), position, colours, still)
    else:
        return None
    return Chunks(False, frozenset(kinds), position, colours, still)


def without_ancillary(data: bytes, chunks: Chunks) -> bytes:
    """The PNG with the chunks of KEPT alone, up to `chunks.end`, and with an end."""
    shared = memoryview(data)  # so that there is one copy, and not two
    pieces, position = [shared[:FIRST_CHUNK]], FIRST_CHUNK
    while position < chunks.end:
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind in KEPT:
            pieces.append(shared[position : position + FRAME + length])
        position += FRAME + length
    return b"".join((*pieces, END))


def mended(data: bytes, chunks: Chunks) -> bytes | None:
    """The PNG that a decoder is given: without its animation if that has no frame or the picture is
    its first one, and cut behind its last whole chunk and given an end if it is cut short. None if
    it is cut short before the end of its first IDAT.

    OpenCV 4.14 does not check the checksums of an animation (findings/opencv-apng-damage.sh).
    """
    if not chunks.whole and b"IDAT" not in chunks.kinds:
        return None
    if b"acTL" in chunks.kinds and (chunks.still or b"fcTL" not in chunks.kinds):
        return without_ancillary(data, chunks)
    return data if chunks.whole else data[: chunks.end] + END
