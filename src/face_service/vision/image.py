"""The bytes of an image to pixels: sniff the format, check the limits, decode."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
import PIL.Image
import simplejpeg
from numpy.typing import NDArray

from face_service.errors import ImageTooLarge, InvalidImage

from .blob import Image

logger = logging.getLogger(__name__)

HEAD = 12
"""How many of the first bytes tell the format."""
EXIF_ORIENTATION = 0x0112
SUPPORTED = "Supported: JPEG, PNG, WebP, BMP, TIFF, GIF"


def sniff(data: bytes | memoryview) -> str | None:
    """Name the format from the first bytes, never from a file name or a declared type.

    Returns Pillow's name of the format (`JPEG`, `PNG`, `WEBP`, `BMP`, `TIFF`, `GIF`), or
    None for anything else.
    """
    head = bytes(data[:HEAD])
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith((b"II*\x00", b"MM\x00*")):
        return "TIFF"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"BM"):
        return "BMP"
    return None


class Header(NamedTuple):
    """What an image says of itself before any pixel is decoded."""

    width: int
    height: int
    mode: str  # Pillow's: L, RGB, CMYK, …
    orientation: int  # EXIF: 1 as it is … 8; of a JPEG, else 1


def read_header(data: bytes, image_format: str) -> Header:
    """Read the header of an image of `image_format`.

    Raises InvalidImage if it cannot be read as that.
    """
    try:
        with warnings.catch_warnings():
            # Pillow's own size limit warns; ours is the one that decides.
            warnings.simplefilter("ignore")
            with PIL.Image.open(io.BytesIO(data), formats=[image_format]) as header:
                orientation = read_orientation(header) if image_format == "JPEG" else 1
                return Header(*header.size, header.mode, orientation)
    except PIL.Image.DecompressionBombError as error:
        raise ImageTooLarge(f"The {image_format} image has far too many pixels") from error
    except Exception as error:  # Pillow's parsers raise whatever their structs raise
        raise InvalidImage(f"The {image_format} header is damaged or cut short") from error


def read_orientation(header: PIL.Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or the EXIF data are damaged."""
    if "exif" not in header.info:
        return 1
    try:
        orientation = header.getexif().get(EXIF_ORIENTATION, 1)
    except Exception:  # as above; a picture is not worse for what is written beside it
        return 1
    return orientation if orientation in ROTATIONS else 1


class Checked(NamedTuple):
    """An image whose format is supported and whose size is allowed, not yet decoded."""

    data: bytes
    image_format: str
    header: Header

    @property
    def decoded_bytes(self) -> int:
        """What its pixels will take."""
        return self.header.width * self.header.height * 3


def decode(data: bytes, max_pixels: int) -> Image:
    """`check` and `decode_checked`: the bytes of an image to its pixels."""
    return decode_checked(check(data, max_pixels))


def check(data: bytes, max_pixels: int) -> Checked:
    """Look at the first bytes and at the header of an image, before anything is decoded.

    Raises InvalidImage for anything that is not of a supported format, ImageTooLarge if it
    would have more than `max_pixels` pixels.
    """
    if not data:
        raise InvalidImage("The image is empty")
    image_format = sniff(data)
    if image_format is None:
        raise InvalidImage(f"Invalid image format. {SUPPORTED}")
    header = read_header(data, image_format)
    if header.width * header.height > max_pixels:
        raise ImageTooLarge(
            f"The image has {header.width}x{header.height} pixels, "
            f"more than the limit of {max_pixels}"
        )
    return Checked(data, image_format, header)


def decode_checked(image: Checked) -> Image:
    """Decode an image to the pixels of `cv2.imdecode(…, IMREAD_COLOR)`, which InsightFace's
    users call.

    EXIF orientation is applied, alpha dropped, grey and CMYK become BGR, 16 bits become
    8, of an animation the first frame is taken.

    Raises InvalidImage for what is not a whole image.
    """
    data, image_format, header = image
    if image_format == "JPEG" and header.mode in ("RGB", "L"):
        # OpenCV has the last word: it forgives what harms no pixel.
        with suppress(ValueError):
            return decode_jpeg(data, header.orientation)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        logger.debug("OpenCV refused a %s: %s", image_format, error)
        pixels = None
    if pixels is None:
        raise InvalidImage(f"The {image_format} image is damaged, cut short, or of an odd kind")
    return cast(Image, pixels)


def decode_jpeg(data: bytes, orientation: int) -> Image:
    """The pixels OpenCV would give, from libjpeg-turbo called directly: half the time of
    12 megapixels, which OpenCV copies row by row. Raises ValueError at the least oddity."""
    image = simplejpeg.decode_jpeg(data, "BGR")
    return cast(Image, ROTATIONS[orientation](image))


ROTATIONS: Mapping[int, Callable[[Image], NDArray[Any]]] = MappingProxyType(
    {
        1: lambda image: image,
        2: lambda image: cv2.flip(image, 1),
        3: lambda image: cv2.rotate(image, cv2.ROTATE_180),
        4: lambda image: cv2.flip(image, 0),
        5: cv2.transpose,
        6: lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
        7: lambda image: cv2.flip(cv2.transpose(image), -1),
        8: lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
    }
)
"""What brings a picture of each EXIF orientation upright."""


def set_up_opencv() -> None:
    """Keep OpenCV from writing a line to stderr for every broken image somebody sends, and from
    shrinking an image on threads of its own, which get in the way of the networks'."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    cv2.setNumThreads(1)
