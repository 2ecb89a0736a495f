"""OpenCV's decoders, and what is done with samples of more than 8 bits."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from face_service.errors import InvalidImage

from .blob import Image
from .endings import TIFF_BEGINNING, is_torn
from .overlap import lie_over_each_other
from .tiff import PACKED, Directory, pointed_at
from .tiff_pieces import has_lost_bytes

Values = NDArray[Any]
"""[height, width, 3], channels as in Image, of 8 or 16 bits."""
VALUES = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
"""What cv2.imdecode is told so that samples of 16 bits stay so."""
SHORT_BMP = b"\x28\x00\x00\x00"
"""Length of BITMAPINFOHEADER, 40."""
BAND = 64
"""Rows that are converted together."""
BLACK = 16
"""The highest level of 8 bits in a picture of 16 bits that uses 12 of them."""
DEPTHS = (8, 10, 12)
WHITES = (1.0, 255.0, 65_535.0)
"""What floating-point samples may mean by white."""
PLANES = "The TIFF keeps {} in planes, which is not read: save it interleaved (pixel order RGBRGB)"
"""OpenCV 4.14 reads a TIFF in planes right where it converts the samples to 8 bits, else from the
wrong place (findings/opencv-tiff-planes.sh)."""
FEW_BITS = "samples of more than 8 and fewer than 16 bits"
BUFFER_STEP = 1024
"""libtiff's buffer is a multiple of so many bytes, and an uncompressed tile has to be as long as
the buffer (findings/opencv-tiff-tiles.sh)."""
ODD_TILES = (
    "The TIFF keeps its picture in uncompressed tiles of an odd size, which is not read: save it "
    "with LZW or Deflate"
)
GREY_TILES = (
    "The TIFF keeps grey of 16 bits with alpha in tiles, which is not read: save it without alpha"
)


def opencv_pixels(data: bytes, flags: int = cv2.IMREAD_COLOR) -> Image | None:
    """The pixels of `cv2.imdecode`; None where it refuses the file or there are no data. Raises
    cv2.error."""
    if not data:
        return None
    buffer: NDArray[Any] = np.frombuffer(data, np.uint8)
    return cast("Image | None", cv2.imdecode(buffer, flags))


def with_short_header(bmp: bytes) -> bytes:
    """A BMP, changed if it has 16 bits a pixel, masks and a long header (BITMAPV4HEADER): its
    header is declared to be the short one. OpenCV 4.14 looks for the masks behind a long header,
    though they are at the same offset in both."""
    size, bits, masks = bmp[14:18], bmp[28:30], bmp[30:34]
    if size <= SHORT_BMP or bits != b"\x10\x00" or masks != b"\x03\x00\x00\x00":
        return bmp
    return bmp[:14] + SHORT_BMP + bmp[18:]


def scaled_if_dark(image: Image, data: bytes) -> Image:
    """A picture of 16 bits, decoded to 8; decoded anew where that is black (`from_low_bits`)."""
    if int(image.max()) > BLACK:
        return image
    values: Values | None = opencv_pixels(data, VALUES)
    return image if values is None else from_low_bits(image, values)


def from_low_bits(image: Image, values: Values) -> Image:
    """A picture of 16 bits, `values`, whose 8 bits, `image`, are black because it uses only the
    lowest 12: the 8, 10 or 12 bits that its largest sample needs are scaled to 8 and written to
    `image`. Any other `image` is returned as it is."""
    if values.dtype == np.uint8 or int(image.max()) > BLACK:
        return image
    most = int(values.max())
    bits = next((bits for bits in DEPTHS if most < 1 << bits), None)
    if bits is None:
        return image
    for top in range(0, len(image), BAND):
        image[top : top + BAND] = values[top : top + BAND].clip(0) >> (bits - 8)
    return image


def decode_tiff(data: bytes, directory: Directory) -> Image | None:
    """The picture of a directory, with floating-point samples too; None where it lacks data or
    OpenCV refuses it. Raises InvalidImage with a reason, and cv2.error."""
    if lie_over_each_other(data, (size for _, size in directory.pieces)):
        raise InvalidImage("The pieces of the TIFF lie over each other")
    lost = (directory.compression, directory.pieces, directory.piece_bytes)
    if has_lost_bytes(data, *lost) or is_torn(data, TIFF_BEGINNING):
        return None
    data = pointed_at(data, directory)
    if directory.floating or directory.bits in PACKED:
        if directory.planar:
            kind = "floating-point samples" if directory.floating else FEW_BITS
            raise InvalidImage(PLANES.format(kind))
        values = opencv_pixels(data, cv2.IMREAD_UNCHANGED if directory.floating else VALUES)
        return None if values is None else to_bytes(values)
    if directory.bits == 16 and directory.tile_pixels and directory.pixel_bytes <= 4:
        return decode_grey_tiles(data, directory)
    image = opencv_pixels(data)
    if image is None and has_odd_tiles(directory):
        raise InvalidImage(ODD_TILES)
    if image is None or directory.bits <= 8:
        return image
    if directory.planar and int(image.max()) <= BLACK:
        raise InvalidImage(PLANES.format(FEW_BITS))
    return scaled_if_dark(image, data)


def has_odd_tiles(directory: Directory) -> bool:
    """Whether the picture is in uncompressed tiles of a size that OpenCV 4.14 refuses, damaged or
    not (findings/opencv-tiff-tiles.sh)."""
    uncompressed = directory.tile_pixels > 0 and directory.compression == 1
    return uncompressed and directory.piece_bytes % BUFFER_STEP > 0


def decode_grey_tiles(data: bytes, directory: Directory) -> Image | None:
    """Grey of 16 bits in tiles; None where OpenCV refuses it. Decoded with all bits: where OpenCV
    4.14 converts it to 8, it mixes the rows of a tile that the picture's edge cuts off
    (findings/opencv-tiff-grey-tiles.sh). Raises InvalidImage for grey with alpha."""
    if directory.pixel_bytes > 2:
        raise InvalidImage(GREY_TILES)
    values: Values | None = opencv_pixels(data, VALUES)
    if values is None:
        return None
    image = to_bytes(values)
    return 255 - image if directory.white_is_zero else from_low_bits(image, values)


def to_bytes(values: Values) -> Image:
    """Floating-point samples, or those of 16 bits, to pixels."""
    if values.dtype != np.uint16:
        return from_floats(values)
    image = np.empty(values.shape, np.uint8)
    for top in range(0, len(image), BAND):
        image[top : top + BAND] = values[top : top + BAND] >> 8
    return image


def from_floats(values: NDArray[Any]) -> Image:
    """Floating-point samples, [height, width] or [height, width, channels], to pixels: 0 is black;
    white is 1, 255 or 65,535, the least that is not below their mean. NaN is black."""
    if values.ndim == 2:
        values = values[:, :, None]
    colours = values[:, :, : 3 if values.shape[2] >= 3 else 1]
    some = np.nan_to_num(colours[::4, ::4].astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    white = next((white for white in WHITES if some.mean() <= white), WHITES[-1])
    image = np.empty((*values.shape[:2], 3), np.uint8)
    for top in range(0, len(image), BAND):
        band = np.nan_to_num(colours[top : top + BAND], nan=0.0)
        image[top : top + BAND] = (band.clip(0, white) * (255 / white)).round()
    return image
