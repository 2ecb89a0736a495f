"""The bytes of an image to pixels: sniff the format, check the limits, decode."""

from __future__ import annotations

import io
import logging
import warnings
from typing import cast

import cv2
import numpy as np
import PIL.Image

from face_service.errors import ImageTooLarge, InvalidImage

from .blob import Image

logger = logging.getLogger(__name__)

SUPPORTED = "Supported: JPEG, PNG, WebP, BMP, TIFF, GIF"


def sniff(data: bytes | memoryview) -> str | None:
    """Name the format from the first bytes, never from a file name or a declared type.

    Returns Pillow's name of the format (`JPEG`, `PNG`, `WEBP`, `BMP`, `TIFF`, `GIF`), or
    None for anything else.
    """
    head = bytes(data[:12])
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


def read_size(data: bytes, image_format: str) -> tuple[int, int]:
    """Read (width, height) in pixels from the header, before any pixel is decoded.

    Raises InvalidImage if the header cannot be read as `image_format`.
    """
    try:
        with warnings.catch_warnings():
            # Pillow's own size limit warns; ours, below, is the one that decides.
            warnings.simplefilter("ignore")
            with PIL.Image.open(io.BytesIO(data), formats=[image_format]) as header:
                return header.size
    except PIL.Image.DecompressionBombError as error:
        raise ImageTooLarge(f"The {image_format} image has far too many pixels") from error
    except Exception as error:  # Pillow's parsers raise whatever their structs raise
        raise InvalidImage(f"The {image_format} header is damaged or cut short") from error


def decode(data: bytes, max_pixels: int) -> Image:
    """Decode an image as InsightFace's users do: `cv2.imdecode(…, IMREAD_COLOR)`.

    EXIF orientation is applied, alpha dropped, grey and CMYK become BGR, 16 bits become
    8, of an animation the first frame is taken.

    Raises InvalidImage for anything that is not a whole image of a supported format,
    ImageTooLarge if it would have more than `max_pixels` pixels.
    """
    if not data:
        raise InvalidImage("The image is empty")
    image_format = sniff(data)
    if image_format is None:
        raise InvalidImage(f"Invalid image format. {SUPPORTED}")
    width, height = read_size(data, image_format)
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"The image has {width}x{height} pixels, more than the limit of {max_pixels}"
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        logger.debug("OpenCV refused a %s: %s", image_format, error)
        image = None
    if image is None:
        raise InvalidImage(f"The {image_format} image is damaged, cut short, or of an odd kind")
    return cast(Image, image)


def silence_decoders() -> None:
    """Keep OpenCV from writing a line to stderr for every broken image somebody sends."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
