"""The bytes of an image to pixels: sniff the format, check the limits, decode."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from face_service.errors import ImageTooLarge, InvalidImage, OutOfMemory

from .blob import Image
from .headers import Header, is_whole_png, read_header
from .jpeg import MAX_SCANNED_PIXELS, MAX_SCANS, USUAL_SCANS, count_scans

logger = logging.getLogger(__name__)

HEAD = 12
"""How many of the first bytes tell the format."""
CUT_SHORT = "Premature end of JPEG file"
"""What libjpeg-turbo says where a file ends before its last marker. OpenCV refuses those, too."""
PIXELS_MISSING = "premature end of data segment"
"""What it says where the last marker comes before the last pixel. OpenCV makes those grey."""
END_OF_IMAGE = b"\xff\xd9"
NO_MEMORY = "There is no memory for this image now, try again later"
SUPPORTED = "Supported: JPEG, PNG, WebP, BMP, TIFF, GIF"
BRANDS: Mapping[bytes, str] = MappingProxyType(
    {
        **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "HEIC"),
        **dict.fromkeys((b"avif", b"avis"), "AVIF"),
        b"crx ": "CR3, a raw file",
    }
)
UNREAD: Mapping[bytes, str] = MappingProxyType(
    {
        b"\xff\x0a": "JPEG XL",
        b"\x00\x00\x00\x0cJXL ": "JPEG XL",
        b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
        b"FUJIFILM": "RAF, a raw file",
        b"IIU\x00": "RW2, a raw file",
        b"IIRO": "ORF, a raw file",
    }
)


def sniff(data: bytes | memoryview) -> str | None:
    """Name the format from the first bytes, never from a file name or a declared type.

    Returns the name of the format (`JPEG`, `PNG`, `WEBP`, `BMP`, `TIFF`, `GIF`), or
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


def name_unread(head: bytes) -> str | None:
    """Name an image format that is not read from the first HEAD bytes, None for anything else."""
    if head[4:8] == b"ftyp":  # ISO 14496-12: the brand of the file
        return BRANDS.get(head[8:12])
    return next((name for start, name in UNREAD.items() if head.startswith(start)), None)


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
        name = name_unread(bytes(data[:HEAD]))
        raise InvalidImage(f"Invalid image format{': ' + name if name else ''}. {SUPPORTED}")
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
    """The pixels; None where the decoder refuses the file. Raises MemoryError, and InvalidImage for
    a JPEG with too many scans, which no decoder bounds."""
    data, image_format, header = image
    if header.frame:
        scans = count_scans(data, header.frame)
        if scans > MAX_SCANS:
            raise InvalidImage(f"The JPEG has more than {MAX_SCANS} scans")
        if scans > USUAL_SCANS and scans * header.width * header.height > MAX_SCANNED_PIXELS:
            raise InvalidImage(f"The JPEG has {scans} scans, too many for its size")
        if header.frame.components in (1, 3):
            ended = header.frame.coefficients or data.find(END_OF_IMAGE, header.frame.scans_at) >= 0
            if not ended:  # some cameras leave it out, though every pixel is there
                data += END_OF_IMAGE
            try:
                return decode_jpeg(data, header.frame.orientation)
            except ValueError as error:
                if str(error) == CUT_SHORT or (not ended and PIXELS_MISSING in str(error)):
                    return None
                # OpenCV decides: it accepts faults that change no pixel.
    if image_format == "PNG" and not is_whole_png(data):
        return None
    try:
        return cast("Image | None", cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(str(error)) from error
        logger.debug("OpenCV refused a %s: %s", image_format, error)
        return None


def is_allocatable(size: int) -> bool:
    """Whether the system would give so many bytes now. They are not touched."""
    try:
        np.empty(size, np.uint8)
    except MemoryError:
        return False
    return True


def decode_jpeg(data: bytes, orientation: int) -> Image:
    """The pixels OpenCV would give, from libjpeg-turbo called directly: half the time of
    12 megapixels, which OpenCV copies row by row. orientation: EXIF's, 1 to 8. Raises ValueError,
    also for faults that OpenCV accepts."""
    return cast(Image, ROTATIONS[orientation](simplejpeg.decode_jpeg(data, "BGR")))


def turned_over(image: NDArray[Any]) -> NDArray[Any]:
    """An image turned by 180°, in place."""
    return cv2.flip(image, -1, image)


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
