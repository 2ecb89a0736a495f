"""The header of a JPEG: size, components, EXIF orientation; and its scans: how many, and whether
one lacks. ITU-T T.81, annex B; EXIF 2.32, 4.6."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from face_service.errors import InvalidImage

MAX_SEGMENTS = 1000
"""Segments that are looked at before the first scan: 65 MB of ICC profile and XMP, at 65,533 bytes
a segment. Ten to fifty are usual."""
MAX_GAP = 65_536
"""Bytes that are no segment, looked through for the next one: all gaps of a header together."""
MAX_SCANS = 100
"""Scans of one picture: what libtiff allows by default (tif_jpeg.c). An encoder writes 6 to 12.
Every scan goes through all coefficients: without a bound a file of 150 KB takes a minute, and one
of 32 MB hours."""
MAX_MARKERS = 10_000
"""Markers that are looked at behind the first scan, restarts not counted: a file has a few for each
scan."""
USUAL_SCANS, MAX_SCANNED_PIXELS = 12, 1_000_000_000
"""Scans that any picture may have: encoders write 6 to 12. With more, scans times pixels is bounded
as well, for each scan goes through all of the picture."""
WINDOW = 1 << 20
"""Bytes that are searched in one call, which holds the interpreter's lock."""

MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
"""The next marker, in a scan or before it: stuffed zeros, restarts and fill bytes are none."""
FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
SCAN, END, APP1, APP14, TEM = 0xDA, 0xD9, 0xE1, 0xEE, 0x01
JPEG_LS, LOSSLESS = 0xF7, frozenset({0xC3, 0xC7, 0xCB, 0xCF})
ONLY_END, SCAN_OR_END = (np.isin(np.arange(256), codes) for codes in ([END], [SCAN, END]))
"""bool [256], for each code of a marker: whether `places` is to find it."""
START_OF_SCAN, END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
COEFFICIENTS, SEQUENTIAL = 64, bytes((0, 63, 0))
"""Coefficients of a block; the first and the last of them, and the bit positions, in the scan
header of a sequential JPEG (T.81, table B.3)."""
EXIF, ADOBE = b"Exif\x00\x00", b"Adobe"
DEPTH = 8
"""Bits of a sample that are read."""
ORIENTATION = 0x0112
INLINE = {3: "H", 4: "I"}
"""Of a TIFF's types those an orientation may have (SHORT, LONG), as `struct` names them."""


class Frame(NamedTuple):
    """The frame header of a JPEG, and what was written in front of its first scan."""

    width: int
    height: int
    components: int
    coefficients: float
    """Bytes a pixel of the coefficients while scans are put together; 0 for a single scan."""
    orientation: int
    """Of EXIF, 1 to 8; 1 if it is not given."""
    scans_at: int
    """Where the data of the first scan begin, behind its header."""
    progressive: bool
    names: bytes
    """Of the components, a byte each."""
    adobe: bool
    """Whether Adobe's marker is there, which says that CMYK is stored inverted."""


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The segments from the start of the image on, MAX_SEGMENTS at most: the code of each, where
    its length stands, and that length. Raises IndexError where the data end."""
    at, left = 2, MAX_GAP
    for _ in range(MAX_SEGMENTS):
        found = MARKER.search(data, at, at + left)
        if not found:
            return
        left -= found.start() - at
        code, at = found[1][0], found.end()
        if code == TEM:
            continue
        length = data[at] << 8 | data[at + 1]
        yield code, at, length
        at += length


def read_frame(data: bytes) -> Frame:
    """Walk over the segments up to the first scan.

    Raises InvalidImage where no frame and scan come within MAX_SEGMENTS, and for a kind of JPEG
    that is not read; struct.error and IndexError where the data end.
    """
    frame: tuple[int, int, int, float] | None = None
    progressive, adobe, names, orientation = False, False, b"", 0
    for code, at, length in segments(data):
        if code in FRAMES:
            frame, progressive = frame_of(data, at), code in PROGRESSIVE
            names = data[at + 8 : at + length : 3]
            if data[at + 2] != DEPTH:
                kind = "lossless JPEG" if code in LOSSLESS else "JPEG"
                raise InvalidImage(
                    f"The {kind} has {data[at + 2]} bits a sample, and only {DEPTH} are read"
                )
        elif code == APP1 and not orientation and data.startswith(EXIF, at + 2):
            orientation = orientation_of(data[at + 2 + len(EXIF) : at + length])
        elif code == APP14 and data.startswith(ADOBE, at + 2):
            adobe = True
        elif code == JPEG_LS:
            raise InvalidImage("The image is a JPEG-LS, which is not read")
        elif code == SCAN and frame:
            width, height, components, coefficients = frame
            held = coefficients if progressive or data[at + 2] < components else 0.0
            return Frame(
                width=width,
                height=height,
                components=components,
                coefficients=held,
                orientation=orientation or 1,
                scans_at=at + length,
                progressive=progressive,
                names=names,
                adobe=adobe,
            )
        elif code in (SCAN, END):
            break
    raise InvalidImage("The JPEG header is damaged, cut short, or far too long")


def frame_of(data: bytes, at: int) -> tuple[int, int, int, float]:
    """Width, height, components, and the coefficients' bytes a pixel, of a frame header whose
    length stands at `at`. Raises as `read_frame` does."""
    height, width, components = struct.unpack_from(">HHB", data, at + 3)
    if not height:
        raise InvalidImage("The JPEG gives its height behind its pixels (DNL), which is not read")
    factors = [data[at + 9 + 3 * n] for n in range(components)]
    sampling = [(factor >> 4, factor & 15) for factor in factors]
    largest = max((h for h, _ in sampling), default=0) * max((v for _, v in sampling), default=0)
    if not largest:
        raise InvalidImage("The JPEG header is damaged: its components have no samples")
    samples = sum(h * v for h, v in sampling) / largest
    return width, height, components, 2 * samples  # 16 bits each


def orientation_of(exif: bytes) -> int:
    """The orientation in the first directory of an EXIF block, 1 to 8; 1 where it is damaged or
    has none. Nothing else is read: damage in EXIF is no damage of the picture."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(exif[:4])
    try:
        if order is None:
            return 1
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(order + "HHI", exif, entry)
            if tag == ORIENTATION:
                if count != 1 or kind not in INLINE:
                    return 1
                (value,) = struct.unpack_from(order + INLINE[kind], exif, entry + 8)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:  # beyond its end
        pass
    return 1


class Scans(NamedTuple):
    """number: that of the picture's scans, MAX_SCANS + 1 if they are more; up to USUAL_SCANS those
    of pictures behind it in the file may be counted too. lacking: whether the picture's scans leave
    a coefficient without its last bit, as where a file was cut between two of them: decoders do
    not report that."""

    number: int
    lacking: bool


def read_scans(data: bytes, frame: Frame) -> Scans:
    """The scans of a JPEG, by one search through its data, which takes 0.1 to 3 % of the time of
    decoding them."""
    if not frame.coefficients:
        return Scans(1, lacking=False)  # a decoder stops behind it
    first_scan = data.rfind(START_OF_SCAN, 0, frame.scans_at)
    found = [first_scan, *islice(places(data, frame.scans_at, SCAN_OR_END), MAX_MARKERS)]
    # Counting bytes that look like the beginning of a scan is fast. Only if they are too many,
    # which is rare, does one have to tell them from scans.
    number = sum(data[at + 1] == SCAN for at in found)
    if number > USUAL_SCANS or len(found) > MAX_MARKERS:
        number = walk_scans(data, frame)
    return Scans(number, lacking=number <= MAX_SCANS and are_lacking(data, frame, found))


def walk_scans(data: bytes, frame: Frame) -> int:
    """How many scans the picture has, from segment to segment up to its end; MAX_SCANS + 1 if they
    are more, or if there are more than MAX_MARKERS."""
    scans = 1
    for passed, code in enumerate(markers(data, frame.scans_at)):
        if code == END:
            break
        scans += code == SCAN
        if scans > MAX_SCANS or passed > MAX_MARKERS:
            return MAX_SCANS + 1
    return scans


def are_lacking(data: bytes, frame: Frame, found: list[int]) -> bool:
    """`Scans.lacking`. found: where scans begin, or seem to, and pictures end."""
    missing = dict.fromkeys(frame.names, (1 << COEFFICIENTS) - 1)  # a bit for each coefficient
    for at in found:
        if at + 5 >= len(data) or data[at + 1] == END:
            break
        behind = at + 5 + 2 * data[at + 4]
        names, bounds = data[at + 5 : behind : 2], data[behind : behind + 3]
        first, last, bits = bounds if frame.progressive and len(bounds) == 3 else SEQUENTIAL
        if not bits & 0x0F:
            # What only looks like a scan may name 255 components and any coefficients.
            done = (2 << min(last, COEFFICIENTS - 1)) - (1 << min(first, COEFFICIENTS))
            for name in missing:
                if name in names and done > 0:
                    missing[name] &= ~done
    return any(missing.values())


def has_end(data: bytes, frame: Frame) -> bool:
    """Whether an end marker comes behind the beginning of the first scan: found at once where it
    is last."""
    return data.rfind(END_OF_IMAGE, frame.scans_at) >= 0


def end_of_image(data: bytes, frame: Frame) -> int:
    """Where the first end marker behind the beginning of the first scan is; -1 if there is none."""
    return next(places(data, frame.scans_at, ONLY_END), -1)


def places(data: bytes, at: int, codes: NDArray[np.bool_]) -> Iterator[int]:
    """Where the two bytes of markers stand, from `at` on: faster than bytes.find, which stops at
    every 0xFF. codes: bool [256], for each code whether it is looked for."""
    values = np.frombuffer(data, np.uint8)
    for begin in range(at, len(data), WINDOW):
        window = values[begin : begin + WINDOW + 1]
        found = (window[:-1] == 0xFF).nonzero()[0]
        yield from (found[codes[window[found + 1]]] + begin).tolist()


def markers(data: bytes, at: int) -> Iterator[int]:
    """The markers from `at` on, what lies between them passed over as a decoder does."""
    while at < len(data):
        found = MARKER.search(data, at, at + WINDOW + 1)
        if not found:
            at += WINDOW
            continue
        at = found.end()
        yield (code := found[1][0])
        if code != TEM:
            at += int.from_bytes(data[at : at + 2])
