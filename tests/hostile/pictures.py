"""Pictures that lie, and mutations of pictures that do not."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from functools import cache

import numpy as np

from tests.formats import (
    PQ,
    avif,
    deep_avif,
    deep_heic,
    hdr,
    heic,
    jpeg_without_adobe,
    page,
    png,
    tiff_of,
)
from tests.images import encode, every_dress

HUGE = 20_000
"""HUGE × HUGE pixels: 400 million, 1.2 GB decoded."""
PIXELS = np.random.default_rng(5).integers(0, 256, (40, 56, 3), np.uint8)
"""A small picture of noise."""


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg_with(between: bytes) -> bytes:
    """PIXELS, with segments behind the first marker."""
    data = encode(PIXELS, "JPEG")
    return data[:2] + between + data[2:]


def png_with(between: bytes) -> bytes:
    """PIXELS, with chunks behind the header."""
    data = encode(PIXELS, "PNG")
    return data[:33] + between + data[33:]


def tiff(
    *more: tuple[int, int, int, int], width: int = 56, height: int = 40, behind: bytes = b""
) -> bytes:
    """A grey TIFF without compression; `more`: entries, `behind`: bytes at 4096."""
    own = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 2240}
    given = {entry[0] for entry in more}
    entries = [(tag, 4, 1, value) for tag, value in own.items() if tag not in given]
    entries = sorted([*entries, *more])
    pixels = bytes(2240)
    start = 8 + len(pixels)
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", *entry) for entry in entries
    )
    head = b"II*\x00" + struct.pack("<I", start) + pixels + directory + bytes(4)
    return head + bytes(max(0, 4096 - len(head))) + behind


def png_bomb() -> bytes:
    """A whole PNG of 400 million pixels in 1.2 MB: every row is black."""
    header = struct.pack(">IIBBBBB", HUGE, HUGE, 8, 2, 0, 0, 0)
    # Compressed once: after a full flush, the same rows are the same bytes again.
    packer = zlib.compressobj(9)
    many = packer.compress(bytes((1 + 3 * HUGE) * 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes((1 + 3 * HUGE) * 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, wbits=-15).flush()
    checksum = ((1 + 3 * HUGE) * HUGE % 65_521) << 16 | 1  # Adler-32 of nothing but zeros
    rows = many + again * (HUGE // 20 - 1) + last + struct.pack(">I", checksum)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def box(kind: bytes, *content: bytes) -> bytes:
    """A box of an ISO-BMFF file."""
    inside = b"".join(content)
    return struct.pack(">I", 8 + len(inside)) + kind + inside


FTYP = box(b"ftyp", b"heic\x00\x00\x00\x00mif1heic")


def lying_headers() -> dict[str, bytes]:
    """The head of an image of 400 million pixels in every format, and little behind it."""
    side = HUGE
    gif_side = 65535
    return {
        "png": b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(99))),
        "jpeg": b"\xff\xd8\xff\xc0"
        + struct.pack(">HBHHB", 17, 8, side, side, 3)
        + bytes((1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0))
        + b"\xff\xda"
        + bytes(99),
        "bmp": b"BM"
        + struct.pack("<IHHI", 99, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
        + bytes(99),
        "gif": b"GIF89a" + struct.pack("<HHBBB", gif_side, gif_side, 0, 0, 0) + bytes(99),
        "webp": b"RIFF"
        + struct.pack("<I", 130)
        + b"WEBPVP8X"
        + struct.pack("<I", 10)
        + bytes(4)
        + (16383).to_bytes(3, "little") * 2
        + bytes(99),
        "tiff": tiff_header(side),
    }


def tiff_header(side: int) -> bytes:
    """The directory of an uncompressed RGB TIFF."""
    entries = [
        (256, 4, 1, side),
        (257, 4, 1, side),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 200),
        (277, 3, 1, 3),
        (278, 4, 1, side),
        (279, 4, 1, 99),
    ]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\x00" + struct.pack("<IH", 8, len(entries)) + directory + bytes(99)


@cache
def seeds() -> tuple[bytes, ...]:
    """Small pictures of every format and colour model."""
    noise = np.random.default_rng(1).integers(0, 255, (40, 56, 3), np.uint8)
    deep = noise.astype(np.uint16) * 257
    large = np.tile(noise, (4, 4, 1))
    more = (
        *(heic(noise), heic(noise, orientation=6), heic(large, tile=64), deep_heic(deep)),
        deep_heic(hdr(noise, PQ), transfer_characteristics=PQ, color_primaries=9),
        *(avif(noise), avif(noise, orientation=5), deep_avif(hdr(noise, PQ), 9, PQ)),
        jpeg_without_adobe(noise, inverted=False),
        png(hdr(noise, PQ), b"cICP", bytes((9, PQ, 0, 1))),
        tiff_of(page(noise), big=True),
        tiff_of(page((noise / 255).astype(np.float32))),
        tiff_of(page(noise[::4, ::4].copy(), t254=("I", [1])), page(noise), below=True),
    )
    return (*every_dress(noise).values(), *more)


def mutations(count: int, seed: int) -> Iterator[bytes]:
    """`count` damaged pictures: bits turned, pieces lost, doubled, swapped, filled, numbers
    made extreme; mostly near the front, where the headers are."""
    chance, corpus = random.Random(seed), list(seeds())
    for _ in range(count):
        data = bytearray(chance.choice(corpus))
        for _ in range(chance.choice((1, 1, 2, 3, 8))):
            mutate(data, chance, corpus)
        yield bytes(data)


def mutate(data: bytearray, chance: random.Random, corpus: list[bytes]) -> None:
    """One step of damage."""
    if not data:
        return
    front = min(len(data), chance.choice((32, 64, 256, len(data))))
    at, length = chance.randrange(front), chance.choice((1, 2, 4, 16, 200))
    kind = chance.randrange(8)
    if kind <= 1:
        data[at] ^= 1 << chance.randrange(8)
    elif kind == 2:
        data[at : at + 4] = chance.choice(
            (b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00")
        )
    elif kind == 3:
        del data[at : at + length]
    elif kind == 4:
        data[at:at] = data[at : at + length] * chance.choice((1, 2, 50))
    elif kind == 5:
        data[at : at + length] = bytes(chance.randrange(256) for _ in range(length))
    elif kind == 6:
        del data[chance.randrange(len(data)) :]
    else:
        other = chance.choice(corpus)
        data[at:] = other[chance.randrange(len(other)) :]
