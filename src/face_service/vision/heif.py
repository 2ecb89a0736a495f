"""HEIC by libheif (pillow-heif or pi-heif, where one is installed), AVIF by OpenCV."""

from __future__ import annotations

import importlib
import logging
import re
from functools import cache
from typing import Any, cast

import cv2
import numpy as np

from face_service.errors import InvalidImage

from .blob import Image
from .heif_header import HEVC, Picture
from .opencv import Values, opencv_pixels
from .overlap import lie_over_each_other
from .sdr import needs_mapping, to_sdr

logger = logging.getLogger(__name__)

NOT_INSTALLED = (
    "The image is a HEIC picture, and nothing is installed that reads it: install pi-heif (the "
    "extra heif), or convert it to JPEG"
)
NO_AVIF = (
    "The image is an AVIF picture, which this build of OpenCV does not read: convert it to JPEG"
)
LIBRARIES = ("pi_heif", "pillow_heif")
"""The same bindings of libheif, without and with an encoder."""
DAMAGED = "The {} image is damaged or cut short: some of its data are missing or wrong"
NEVER = b"\x00\x00\x00"
"""Bytes that no NAL unit of H.265 holds (7.4.2), and that a copy that broke off leaves."""
PARAMETERS, LAST_SLICE = (32, 33, 34), 31
"""Types of NAL units (H.265, table 7-1): those of parameter sets, which a file of hvc1 has in its
header alone; the last of those of slices."""
MAX_UNITS = 10_000
"""NAL units of one picture or tile at most: encoders write one to some tens."""
ZEROS = bytes(32)
"""More zero bytes in a row than whole AV1 data have in practice: a white sheet has 3 (libavif
1.4.2, 36 pictures)."""
ANIMATION, STILL = b"avis", b"avif"


@cache
def libheif() -> Any | None:
    """The bindings of libheif that are installed, set to decode the picture alone, on the thread
    that calls them; None if none are installed."""
    for name in LIBRARIES:
        try:
            library = importlib.import_module(name)
        except ImportError:
            continue
        library.options.DECODE_THREADS = 1
        library.options.THUMBNAILS = library.options.DEPTH_IMAGES = False
        library.options.AUX_IMAGES = False
        return library
    return None


@cache
def reads_avif() -> bool:
    """Whether this build of OpenCV reads AVIF."""
    return re.search(r"AVIF:\s+NO", cv2.getBuildInformation()) is None


def decode_heif(data: bytes, picture: Picture) -> Image | None:
    """The primary picture, turned as the file's properties say, never by Exif; None where the
    decoder refuses it. Raises InvalidImage with a reason, and cv2.error."""
    if lie_over_each_other(data, (extent.end - extent.begin for extent in picture.extents)):
        raise InvalidImage("The tiles of the HEIF image lie over each other")
    mapped = needs_mapping(picture.colours)
    if picture.codec == HEVC:
        values = decode_hevc(data, picture, deep=mapped)
    else:
        values = decode_av1(data, picture, deep=mapped)
    if values is None or not mapped:
        return values
    return to_sdr(values, *cast("tuple[int, int]", picture.colours))


def decode_hevc(data: bytes, picture: Picture, deep: bool) -> Values | None:
    """The picture by libheif, which turns it. None where that refuses it or has no memory: it
    reports the latter also for files that ask for too much. deep: with 16 bits a sample, if it has
    more than 8. Raises InvalidImage if libheif is not installed or data are damaged."""
    library = libheif()
    if library is None:
        raise InvalidImage(NOT_INSTALLED)
    if not all(is_whole_hevc(data, *extent) for extent in picture.extents):
        raise InvalidImage(DAMAGED.format("HEIC"))
    try:
        file = library.open_heif(data, convert_hdr_to_8bit=not deep, bgr_mode=True)
        width, height = file.size
        if width * height > picture.width * picture.height:
            return None
        values = np.asarray(file)
    except Exception as error:  # of any class: odd files make the bindings themselves fail
        logger.debug("libheif refused a HEIC: %s", error)
        return None
    return in_colour(values)  # a copy: the memory of `values` goes with `file`


def decode_av1(data: bytes, picture: Picture, deep: bool) -> Values | None:
    """The picture by OpenCV. Clean aperture, rotation and mirror, which OpenCV ignores, are applied
    here; an animation is renamed to a still picture, since OpenCV would show its first frame,
    whatever its size. deep: with 16 bits a sample, if it has more than 8. None where OpenCV refuses
    it. Raises InvalidImage if this build does not read AVIF or data are damaged; cv2.error."""
    if not reads_avif():
        raise InvalidImage(NO_AVIF)
    if any(data.find(ZEROS, begin, end) >= 0 for begin, end in picture.extents):
        raise InvalidImage(DAMAGED.format("AVIF"))
    if data[8:12] == ANIMATION:
        data = data[:8] + STILL + data[12:]
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    values: Values | None = opencv_pixels(data, flags | (cv2.IMREAD_ANYDEPTH if deep else 0))
    if values is None or values.shape[:2] != (picture.height, picture.width):
        return None
    if values.dtype == np.uint16:
        values = values << (16 - picture.bits)
    for kind, numbers in picture.turns:
        if kind == b"clap":
            left, top, right, bottom = numbers
            values = values[top:bottom, left:right]
        elif kind == b"irot":
            values = np.rot90(values, numbers[0])
        else:
            values = cv2.flip(values, numbers[0])
    return np.ascontiguousarray(values)


def in_colour(values: Values) -> Values:
    """A copy of grey, grey with alpha, colour or colour with alpha as colour."""
    if values.ndim == 2 or values.shape[2] <= 2:
        grey = values if values.ndim == 2 else values[:, :, 0]
        return cast(Values, cv2.cvtColor(np.array(grey), cv2.COLOR_GRAY2BGR))
    return np.array(values[:, :, :3])


def is_whole_hevc(data: bytes, begin: int, end: int) -> bool:
    """Whether the data from `begin` to `end` are one picture of H.265 in whole NAL units, each
    behind the 4 bytes of its length (ISO/IEC 14496-15, 4.3.3), without parameter sets and without
    NEVER. Of several pictures a decoder would show one, and decode all."""
    pictures = 0
    for _ in range(MAX_UNITS):
        if begin == end:
            break
        length = int.from_bytes(data[begin : begin + 4])
        begin += 4
        if length < 3 or begin + length > end:
            return False
        kind = data[begin] >> 1 & 63
        if kind in PARAMETERS or data.find(NEVER, begin, begin + length) >= 0:
            return False
        pictures += kind <= LAST_SLICE and data[begin + 2] >> 7  # first_slice_segment_in_pic_flag
        begin += length
    return begin == end and pictures == 1
