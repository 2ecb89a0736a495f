"""Headers of images, read at their fixed places: a few microseconds, a few hundred bytes.

They are read by hand: a library that makes an object of every entry, segment and chunk takes a
hundred times the memory of a body that is all header, before the size of the picture is known.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from face_service.errors import InvalidImage

from .heif_header import AV1, Picture, read_picture
from .jpeg import Frame, read_frame
from .tiff import Directory, read_directory

HEIC_PIXEL, AVIF_PIXEL, TILE_PIXEL, DEEP_PIXEL = 9, 13, 5, 6
"""Bytes that decoding takes for a pixel of a HEIC (libheif) and of an AVIF (libavif); in
addition for a pixel of the largest tile, and for a pixel with more than 8 bits a sample."""


class Header(NamedTuple):
    """The header of an image. width, height: pixels, as stored, before EXIF orientation.

    decoding_bytes: the most memory that decoding takes, the decoded pixels included. frame,
    directory, picture: what else the header of a JPEG, of a TIFF, of a HEIC or an AVIF says; None
    for other formats.
    """

    width: int
    height: int
    decoding_bytes: int
    frame: Frame | None = None
    directory: Directory | None = None
    picture: Picture | None = None
    deep: bool = False
    """Whether a PNG has 16 bits a sample."""


def sized(width: int, height: int, pixel_bytes: float) -> Header:
    """A header of an image whose decoding takes `pixel_bytes` bytes a pixel.

    That is what OpenCV 4.14 takes beside the body, measured by
    `python -m benchmarks.decoding_memory`. Its pixels are 3 bytes each, and a second copy of them
    is made for all but what `decode_jpeg` reads.
    """
    return Header(width, height, int(width * height * pixel_bytes))


def read_header(data: bytes, image_format: str) -> Header:
    """Read the header of an image of `image_format`.

    Raises InvalidImage if it cannot be read as that.
    """
    try:
        header = READERS[image_format](data)
    except (struct.error, IndexError, OverflowError) as error:  # beyond the end
        raise InvalidImage(f"The {image_format} header is damaged or cut short") from error
    if header.width <= 0 or header.height <= 0:
        raise InvalidImage(f"The {image_format} image has no pixels")
    return header


def read_png(data: bytes) -> Header:
    """IHDR, which is the first chunk (PNG, third edition, 11.2.1)."""
    width, height = struct.unpack_from(">II", data, 16)
    if data[12:16] == b"CgBI":
        raise InvalidImage(
            "The PNG is of Apple's own kind for apps (CgBI), which is not read: convert it to PNG"
        )
    if data[12:16] != b"IHDR":
        raise InvalidImage("The PNG header is damaged or cut short")
    deep = data[24] == 16
    header = sized(width, height, 18 if deep else 7)
    animated = data.find(b"acTL", 0, max(0, data.find(b"IDAT"))) >= 0
    copied = len(data) if animated or data[-8:-4] != b"IEND" else 0  # `mended` of png.py
    return header._replace(deep=deep, decoding_bytes=header.decoding_bytes + copied)


def read_gif(data: bytes) -> Header:
    """The logical screen (GIF89a, 18): OpenCV paints the first frame on it."""
    width, height = struct.unpack_from("<HH", data, 6)
    return sized(width, height, 13)


def read_bmp(data: bytes) -> Header:
    """BITMAPCOREHEADER or one of those that begin as BITMAPINFOHEADER; a height below 0 means
    that the first row is the top one."""
    (size,) = struct.unpack_from("<I", data, 14)
    form = "<HH" if size == 12 else "<ii"
    if size != 12 and size < 36:
        raise InvalidImage("The BMP header is of an unknown kind")
    width, height = struct.unpack_from(form, data, 18)
    return sized(width, abs(height), 7)


def read_webp(data: bytes) -> Header:
    """The first chunk (RFC 9649): VP8 (a key frame of RFC 6386, 9.1), VP8L or VP8X."""
    chunk = data[12:16]
    if chunk == b"VP8 ":
        start, width, height = struct.unpack_from("<3sHH", data, 23)
        if start == b"\x9d\x01\x2a":
            return sized(width & 0x3FFF, height & 0x3FFF, 7)
    elif chunk == b"VP8L":
        signature, sizes = struct.unpack_from("<BI", data, 20)
        if signature == 0x2F:
            return sized((sizes & 0x3FFF) + 1, (sizes >> 14 & 0x3FFF) + 1, 11)
    elif chunk == b"VP8X":
        animated = data[20] & 0x02
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return sized(width, height, 12 if animated else 11)
    raise InvalidImage("The WEBP header is damaged or cut short")


def read_tiff(data: bytes) -> Header:
    """The first directory. A strip may be all of the picture, and libtiff holds it as it is in the
    file and as it is decoded, at 4 bytes a pixel or more."""
    directory = read_directory(data)
    stored = directory.pixel_bytes
    pixels = max(directory.width * directory.height, directory.tile_pixels)
    decoding = pixels * (10 + max(4.0, stored) + stored)
    return Header(directory.width, directory.height, int(decoding), directory=directory)


def read_jpeg(data: bytes) -> Header:
    """The frame. `decode_jpeg` decodes it, and frees the coefficients, where it keeps them, before
    the picture is turned into a second copy."""
    frame = read_frame(data)
    inks = frame.components == 4
    grey = frame.components == 1  # a lossless one is decoded to grey first, then copied to colour
    copies = 10 if inks else 6 if frame.orientation > 1 else 4 if grey else 3
    decoding = max((6 if inks else 4) + frame.coefficients if frame.coefficients else 3, copies)
    return sized(frame.width, frame.height, decoding)._replace(frame=frame)


def read_heif(data: bytes) -> Header:
    """The primary item of a HEIC or AVIF file. The tiles of a grid are decoded one by one."""
    picture = read_picture(data)
    each = AVIF_PIXEL if picture.codec == AV1 else HEIC_PIXEL
    each += DEEP_PIXEL if picture.bits > 8 else 0
    decoding = picture.width * picture.height * each + picture.tile_pixels * TILE_PIXEL
    return Header(*picture.shown, decoding, picture=picture)


READERS: Mapping[str, Callable[[bytes], Header]] = MappingProxyType(
    {
        "JPEG": read_jpeg,
        "PNG": read_png,
        "GIF": read_gif,
        "BMP": read_bmp,
        "WEBP": read_webp,
        "TIFF": read_tiff,
        "HEIC": read_heif,
        "AVIF": read_heif,
    }
)
