"""The bytes of an image to pixels: sniff the format, check the limits, decode."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from face_service.errors import ImageTooLarge, InvalidImage, OutOfMemory

from .blob import Image
from .endings import BMP_HEADER, TRAILER, first_frame, is_torn, whole_webp
from .headers import Header, read_header
from .heif import decode_heif
from .jpeg_pixels import decode_jpeg
from .kinds import HEAD, name_unread, sniff
from .opencv import VALUES, decode_tiff, opencv_pixels, scaled_if_dark, with_short_header
from .png import mended, read_chunks, without_ancillary
from .sdr import needs_mapping, to_sdr
from .tiff_jpeg import has_damaged_jpeg

logger = logging.getLogger(__name__)

NO_MEMORY = "There is no memory for this image now, try again later"
LARGEST_PIXEL = 7
"""Bytes a pixel that decoding a picture of `max_pixels` may take: enough for a PNG of 8 bits and
for a turned JPEG."""
LEAST_BYTES = 650_000_000
"""Bytes that decoding may take whatever `max_pixels` is: 50 megapixels at 13 bytes."""
SUPPORTED = "Supported: JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF, HEIC"


class Checked(NamedTuple):
    """An image whose format is supported and whose size is allowed, not yet decoded."""

    data: bytes
    image_format: str
    header: Header

    @property
    def decoded_bytes(self) -> int:
        """The most memory that decoding will take, an estimate from above."""
        return self.header.decoding_bytes


def decode(data: bytes, max_pixels: int) -> Image:
    """`check` and `decode_checked`: the bytes of an image to its pixels. Raises what they raise."""
    return decode_checked(check(data, max_pixels))


def check(data: bytes, max_pixels: int) -> Checked:
    """Look at the first bytes and at the header of an image, before anything is decoded.

    Raises InvalidImage for anything that is not of a supported format or has a damaged header;
    ImageTooLarge if it has more than `max_pixels` pixels, or if decoding takes more memory than
    LARGEST_PIXEL for each of `max_pixels`, and more than LEAST_BYTES, beside a copy of its data.
    """
    if not data:
        raise InvalidImage("The image is empty")
    image_format = sniff(data)
    if image_format is None:
        kind = name_unread(bytes(data[:HEAD]))
        what = f": {kind.name}, which is not read; {kind.advice}" if kind else ""
        raise InvalidImage(f"Invalid image format{what}. {SUPPORTED}")
    header = read_header(data, image_format)
    if header.width * header.height > max_pixels:
        raise ImageTooLarge(
            f"The image has {header.width}x{header.height} pixels, "
            f"more than the limit of {max_pixels}"
        )
    most = max(LEAST_BYTES, LARGEST_PIXEL * max_pixels) + len(data)
    if header.decoding_bytes > most:
        raise ImageTooLarge(
            f"Decoding a {image_format} of {header.width}x{header.height} pixels takes up to "
            f"{header.decoding_bytes / 1e6:.0f} MB, more than the limit of {most / 1e6:.0f}"
        )
    return Checked(data, image_format, header)


def decode_checked(image: Checked) -> Image:
    """Decode an image to the pixels of `cv2.imdecode(…, IMREAD_COLOR)`, which InsightFace's
    users call.

    EXIF orientation is applied, alpha dropped, grey and CMYK become BGR, 16 bits become
    8, of an animation the first frame is taken.

    Raises InvalidImage for what is not a whole image, OutOfMemory where the machine has no room
    for it.
    """
    try:
        pixels = decode_pixels(image)
    except MemoryError as error:
        raise OutOfMemory(NO_MEMORY) from error
    if pixels is not None:
        return pixels
    if not is_allocatable(image.decoded_bytes):  # then it is no fault of the image's
        raise OutOfMemory(NO_MEMORY)
    raise InvalidImage(f"The {image.image_format} image is damaged, cut short, or of an odd kind")


def decode_pixels(image: Checked) -> Image | None:
    """The pixels; None where the decoder refuses the file. Raises MemoryError, and InvalidImage
    with a reason."""
    data, image_format, header = image
    try:
        if header.frame and header.frame.components in (1, 3, 4):
            return upright(decode_jpeg(data, header.frame), header.frame.orientation)
        if header.directory:
            pixels = decode_tiff(data, header.directory)
            return None if has_damaged_jpeg(data, header.directory) else pixels
        if header.picture:
            return decode_heif(data, header.picture)
        if image_format == "PNG":
            return decode_png(data, header.deep)
        return opencv_pixels(ending(data, image_format, header))
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(str(error)) from error
        logger.debug("OpenCV refused a %s: %s", image_format, error)
        return None


def decode_png(data: bytes, deep: bool) -> Image | None:
    """The pixels of a PNG, even if other chunks than those of its pixels are damaged; None where
    the decoder refuses it. deep: it has 16 bits a sample."""
    chunks = read_chunks(data)
    whole = chunks and mended(data, chunks)
    if not chunks or whole is None:
        return None
    flags = VALUES if needs_mapping(chunks.colours) else cv2.IMREAD_COLOR
    image = opencv_pixels(whole, flags)
    if image is None and chunks.whole:  # a broken chunk of an animation
        image = opencv_pixels(whole := without_ancillary(data, chunks), flags)
    if image is None:
        return None
    if needs_mapping(chunks.colours):
        return to_sdr(image, *chunks.colours)
    return scaled_if_dark(image, whole) if deep else image


def ending(data: bytes, image_format: str, header: Header) -> bytes:
    """The bytes of a GIF, WebP or BMP that its decoder is given: none if the file is torn, which
    the decoder would not report. Those of other formats are unchanged."""
    if image_format == "GIF":
        return data if data.endswith(TRAILER) else first_frame(data) or b""
    if image_format == "WEBP":
        return whole_webp(data, header.width * header.height) or b""
    if image_format == "BMP":
        return b"" if is_torn(data, BMP_HEADER) else with_short_header(data)
    return data


def is_allocatable(size: int) -> bool:
    """Whether the system would allocate so many bytes now. They are not written to."""
    try:
        np.empty(size, np.uint8)
    except MemoryError:
        return False
    return True


def turned_over(image: NDArray[Any]) -> NDArray[Any]:
    """An image turned by 180°, in place."""
    return cv2.flip(image, -1, image)


def upright(image: Image, orientation: int) -> Image:
    """An image turned as EXIF says, 1 to 8."""
    return cast(Image, ROTATIONS[orientation](image))


ROTATIONS: Mapping[int, Callable[[Image], NDArray[Any]]] = MappingProxyType(
    {
        1: lambda image: image,
        2: lambda image: cv2.flip(image, 1),
        3: lambda image: cv2.rotate(image, cv2.ROTATE_180),
        4: lambda image: cv2.flip(image, 0),
        5: cv2.transpose,
        6: lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
        7: lambda image: turned_over(cv2.transpose(image)),
        8: lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
    }
)
"""What brings a picture of each EXIF orientation upright."""


def set_up_opencv() -> None:
    """Keep OpenCV from writing a line to stderr for every broken image somebody sends, and from
    shrinking an image on threads of its own, which get in the way of the networks'."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    cv2.setNumThreads(1)
