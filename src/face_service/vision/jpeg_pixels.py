"""The pixels of a JPEG, all of them or none: a warning of its decoder counts as damage, except for
oddities that change no pixel."""

from __future__ import annotations

import re
from typing import cast

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from face_service.errors import InvalidImage

from .blob import Image
from .jpeg import (
    END_OF_IMAGE,
    MAX_SCANNED_PIXELS,
    MAX_SCANS,
    SEQUENTIAL,
    START_OF_SCAN,
    USUAL_SCANS,
    Frame,
    end_of_image,
    has_end,
    read_scans,
)
from .opencv import BAND, opencv_pixels

DAMAGED = "The JPEG image is damaged or cut short: some of its data are missing or wrong"
STRAY = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
MAX_STRAY = 16
"""Bytes between the last pixel and the end marker that some encoders leave, as libjpeg-turbo
counts them: it has read some more by then. Half of a picture behind half of another leaves
hundreds."""
ZEROS = bytes(8)
"""What a disk or a copy that broke off leaves in place of data."""
MAX_ODDITIES = 4
"""Of one file at most, one of each kind: each that is taken out costs another decoding."""
UNNAMED_SAMPLING = "Could not determine subsampling"
NO_COLOURS = "Unsupported color conversion request"
"""What libjpeg-turbo says of lossless grey, of which it makes no colours."""
FILLING = b"\x55\xaa" * 512
"""Bytes put behind the data as a test: they are decoded in place of pixels that are missing."""
AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
BLACK = 32
"""Mean level, 0..255, below which a reading of CMYK is nothing but black."""


def decode_jpeg(data: bytes, frame: Frame) -> Image:
    """The pixels OpenCV would give, before orientation, from libjpeg-turbo called directly: that
    takes half the time at 12 megapixels, because OpenCV copies row by row.

    Raises InvalidImage unless every pixel is there, whatever stands at the end, and for too many
    scans. Nothing but the end marker may lack.
    """
    refuse_scans(data, frame)
    ended = has_end(data, frame)
    if not ended:  # some cameras leave it out, though every pixel is there
        data += END_OF_IMAGE
    for _ in range(MAX_ODDITIES + 1):
        try:
            return pixels_of(data, frame)
        except ValueError as error:
            if UNNAMED_SAMPLING in str(error):
                return decode_odd_sampling(data, frame)
            data = without_oddity(data, frame, ended, str(error))
    raise InvalidImage(DAMAGED)


def refuse_scans(data: bytes, frame: Frame) -> None:
    """Raise InvalidImage for a JPEG with too many scans, which no decoder bounds, or whose scans
    leave coefficients incomplete."""
    scans, lacking = read_scans(data, frame)
    if scans > MAX_SCANS:
        raise InvalidImage(f"The JPEG has more than {MAX_SCANS} scans")
    if scans > USUAL_SCANS and scans * frame.width * frame.height > MAX_SCANNED_PIXELS:
        raise InvalidImage(f"The JPEG has {scans} scans, too many for its size")
    if lacking:
        raise InvalidImage(DAMAGED)


def pixels_of(data: bytes, frame: Frame) -> Image:
    """Decode strictly: raises ValueError, with libjpeg-turbo's first warning or error."""
    if frame.components != 4:
        try:
            return cast(Image, simplejpeg.decode_jpeg(data, "BGR"))
        except ValueError as error:
            if NO_COLOURS not in str(error):
                raise
        return cast(Image, cv2.cvtColor(simplejpeg.decode_jpeg(data, "GRAY"), cv2.COLOR_GRAY2BGR))
    inks = simplejpeg.decode_jpeg(data, "CMYK")
    return from_inks(inks, inverted=frame.adobe or is_inverted(inks))


def from_inks(inks: NDArray[np.uint8], inverted: bool) -> Image:
    """CMYK, uint8 [height, width, 4], to BGR as OpenCV converts what Adobe's programs write.
    inverted: 255 is no ink, as these write it; else 0 is none."""
    image = np.empty((*inks.shape[:2], 3), np.uint8)
    for top in range(0, len(inks), BAND):
        band = inks[top : top + BAND] if inverted else 255 - inks[top : top + BAND]
        paper = band[..., 3:].astype(np.uint16)
        image[top : top + BAND] = paper - ((255 - band[..., 2::-1]) * paper >> 8)
    return image


def is_inverted(inks: NDArray[np.uint8]) -> bool:
    """Whether CMYK without Adobe's marker is inverted: it is where the standard's reading, 0 for no
    ink, gives a black picture and the other does not."""
    some = np.ascontiguousarray(inks[::8, ::8])
    means = [float(from_inks(some, inverted).mean()) for inverted in (False, True)]
    return means[0] < BLACK <= means[1]


def without_oddity(data: bytes, frame: Frame, ended: bool, warning: str) -> bytes:
    """The same picture without the oddity of `warning`, the only one that libjpeg-turbo reports:
    damage behind it would go unnoticed. ended: whether the file itself has an end marker.

    Raises InvalidImage where the warning is of damage.
    """
    changed = bytearray(data)
    if found := STRAY.fullmatch(warning):
        end = end_of_image(data, frame)
        last = end - int(found[1])
        if (ended and end - last > MAX_STRAY) or data[:last].endswith(ZEROS):
            raise InvalidImage(DAMAGED)
        return data[:last] + END_OF_IMAGE
    if "unknown JFIF revision" in warning:
        at = data.index(b"JFIF\x00")
        changed[at + 5 : at + 7] = b"\x01\x01"
    elif "Unknown Adobe color transform" in warning:
        at = data.index(b"Adobe")
        changed[at + 11 : at + 12] = b"\x02" if frame.components == 4 else b"\x01"
    elif "Invalid SOS parameters for sequential" in warning:
        at = data.rfind(START_OF_SCAN, 0, frame.scans_at)
        for _ in range(MAX_SCANS):
            if at < 0 or at + 4 >= len(data):
                break
            behind = at + 5 + 2 * data[at + 4]
            changed[behind : behind + 3] = SEQUENTIAL
            at = data.find(START_OF_SCAN, at + 2)
    else:
        raise InvalidImage(DAMAGED)
    return bytes(changed)


def decode_odd_sampling(data: bytes, frame: Frame) -> Image:
    """Decode a sampling that libjpeg-turbo's own interface has no name for (4:1:0, 3x1) by OpenCV,
    which fills missing pixels with grey and does not report it.

    Raises InvalidImage where OpenCV refuses it, where another picture begins in it, and where
    pixels are missing: where FILLING, put behind the data, changes the picture. Wrong bits are not
    noticed.
    """
    end = end_of_image(data, frame)
    if data.find(b"\xff\xd8\xff", frame.scans_at, end) >= 0:  # another picture begins in it
        raise InvalidImage(DAMAGED)
    image = opencv_pixels(data, AS_STORED)
    filled = opencv_pixels(data[:end] + FILLING + END_OF_IMAGE, AS_STORED)
    if image is None or filled is None or not np.array_equal(image, filled):
        raise InvalidImage(DAMAGED)
    return image
