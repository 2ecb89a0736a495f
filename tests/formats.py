"""Pictures of formats and variants that Pillow and OpenCV do not write by themselves."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pillow_heif
from numpy.typing import NDArray

from face_service.vision.blob import Image

EXIF_ORIENTATION = 0x0112
PQ, HLG, BT2020 = 16, 18, 9
MATRIX = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
"""Linear red, green and blue of sRGB in BT.2020 (ITU-R BT.2087)."""
FAST = {"preset": "ultrafast"}
TYPES = {"B": 1, "H": 3, "I": 4, "Q": 16}


def heic(
    image: Image, orientation: int = 1, tile: int = 0, mode: str = "RGB", **options: Any
) -> bytes:
    """A BGR image as HEIC, by x265. orientation: in irot and imir, and in Exif, as an iPhone
    writes them. tile: side of the tiles of a grid."""
    exif = PIL.Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    pillow_heif.options.GRID_TILE_SIZE = tile
    try:
        rgb = PIL.Image.fromarray(image[:, :, ::-1].copy())
        file = pillow_heif.from_pillow(rgb.convert(mode))
        out = io.BytesIO()
        file.save(
            out,
            quality=90,
            enc_params=FAST,
            **options,
            **({"exif": exif.tobytes()} if orientation > 1 else {}),
        )
    finally:
        pillow_heif.options.GRID_TILE_SIZE = 0
    return out.getvalue()


def deep_heic(values: NDArray[np.uint16], **options: Any) -> bytes:
    """BGR of 16 bits as HEIC of 10."""
    height, width = values.shape[:2]
    out = io.BytesIO()
    file = pillow_heif.from_bytes("BGR;16", (width, height), values.tobytes())
    file.save(out, quality=95, enc_params=FAST, **options)
    return out.getvalue()


def avif(image: Image, orientation: int = 1, mode: str = "RGB", **options: Any) -> bytes:
    """A BGR image as AVIF, by Pillow, which writes irot and imir alone."""
    exif = PIL.Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    out = io.BytesIO()
    rgb = PIL.Image.fromarray(image[:, :, ::-1].copy())
    rgb.convert(mode).save(out, "AVIF", quality=90, speed=10, exif=exif, **options)
    return out.getvalue()


def deep_avif(values: NDArray[np.uint16], primaries: int = 1, transfer: int = 13) -> bytes:
    """BGR of 16 bits as AVIF of 10."""
    options = [cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 95, cv2.IMWRITE_AVIF_SPEED, 10]
    data = bytearray(cv2.imencode(".avif", values >> 6, options)[1].tobytes())
    at = data.index(b"nclx") + 4
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    return bytes(data)


def hdr(image: Image, transfer: int) -> NDArray[np.uint16]:
    """An sRGB picture as PQ or HLG in BT.2020: its white is diffuse white, 203 cd/m²."""
    code = image[:, :, ::-1] / 255
    light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4) @ MATRIX.T
    if transfer == PQ:
        power = (light.clip(0) * 203 / 10_000) ** 0.1593017578125
        coded = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:
        brightness = (light @ (0.2627, 0.6780, 0.0593)).clip(1e-6)[:, :, None] * 203 / 1000
        scene = (light.clip(0) * 203 / 1000) * brightness ** (1 / 1.2 - 1)
        high = 0.17883277 * np.log((12 * scene - 0.28466892).clip(1e-6)) + 0.55991073
        coded = np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)
    return (coded[:, :, ::-1] * 65_535).round().astype(np.uint16)


def with_chunk(png: bytes, kind: bytes, content: bytes, checksum: int | None = None) -> bytes:
    """A PNG with one more chunk behind its header."""
    crc = zlib.crc32(kind + content) if checksum is None else checksum
    return (
        png[:33]
        + struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", crc)
        + png[33:]
    )


def png(values: NDArray[Any], *chunk: Any) -> bytes:
    """BGR of 8 or 16 bits as PNG, perhaps with one more chunk."""
    data = cv2.imencode(".png", values)[1].tobytes()
    return with_chunk(data, *chunk) if chunk else data


def lossless_jpeg(grey: NDArray[np.uint8]) -> bytes:
    """Grey without loss: each sample as what it differs by from the one before it, the first of a
    row from the one above (T.81, H.1.2); the lengths of differences have codes of 5 bits each."""
    values = grey.astype(int)
    before = np.full_like(values, 128)
    before[1:, 0], before[:, 1:] = values[:-1, 0], values[:, :-1]
    bits = ""
    for difference in (values - before).ravel().tolist():
        length = abs(difference).bit_length()
        low = difference if difference > 0 else difference + (1 << length) - 1
        bits += f"{length:05b}" + (f"{low:0{length}b}" if length else "")
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\x00")
    lengths = bytes((0, 0, 0, 0, 17)).ljust(16, b"\0") + bytes(range(17))
    segments = {
        0xC3: struct.pack(">BHHBBBB", 8, *grey.shape, 1, 1, 0x11, 0),
        0xC4: b"\0" + lengths,
        0xDA: bytes((1, 1, 0, 1, 0, 0)),
    }
    head = b"".join(
        struct.pack(">BBH", 0xFF, code, len(content) + 2) + content
        for code, content in segments.items()
    )
    return b"\xff\xd8" + head + coded + b"\xff\xd9"


def jpeg_without_adobe(image: Image, inverted: bool) -> bytes:
    """A CMYK JPEG that does not say how it is stored."""
    inks = np.asarray(PIL.Image.fromarray(image[:, :, ::-1].copy()).convert("CMYK"))
    out = io.BytesIO()  # Pillow stores the inverse of what it is given
    PIL.Image.fromarray(inks if inverted else 255 - inks, "CMYK").save(out, "JPEG", quality=95)
    data = out.getvalue()
    at = data.index(b"\xff\xee")
    (length,) = struct.unpack_from(">H", data, at + 2)
    return data[:at] + data[at + 2 + length :]


Page = dict[int, tuple[str, Sequence[int]]]
"""Tags of a directory: struct's letter for the values, and these."""


PLANES: Page = {284: ("H", [2])}
"""Of a picture whose samples lie in planes, one strip each."""


def page(values: NDArray[Any], **tags: tuple[str, Sequence[int]]) -> tuple[NDArray[Any], Page]:
    """A picture of RGB, or grey, for `tiff_of`; tags by number: t254=("I", [1])."""
    samples = values.shape[2] if values.ndim == 3 else 1
    form = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    own: Page = {
        256: ("I", [values.shape[1]]),
        257: ("I", [values.shape[0]]),
        258: ("H", [8 * values.dtype.itemsize] * samples),
        259: ("H", [1]),
        262: ("H", [2 if samples >= 3 else 1]),
        277: ("H", [samples]),
        278: ("I", [values.shape[0]]),
        339: ("H", [form] * samples),
    }
    return values, own | {int(name[1:]): value for name, value in tags.items()}


def planes(values: NDArray[Any]) -> tuple[NDArray[Any], Page]:
    """A page that has all of the first sample first."""
    return np.ascontiguousarray(values.transpose(2, 0, 1)), page(values)[1] | PLANES


def tiles(values: NDArray[Any], side: int, **tags: Any) -> tuple[NDArray[Any], Page]:
    """A page in square tiles; those at the right and the lower edge are filled up."""
    height, width = values.shape[:2]
    filling = [(0, -height % side), (0, -width % side)] + [(0, 0)] * (values.ndim - 2)
    full = np.pad(values, filling)
    rows, columns = full.shape[0] // side, full.shape[1] // side
    parts = full.reshape(rows, side, columns, side, -1).swapaxes(1, 2)
    return parts, page(values, t322=("H", [side]), t323=("H", [side]), **tags)[1]


def packed(grey: NDArray[np.uint8], bits: int) -> tuple[NDArray[Any], Page]:
    """A page of grey whose samples lie without gaps, the lowest bits of some zero."""
    bytes_of = np.stack([grey, np.zeros_like(grey)], axis=-1)
    rows = np.packbits(np.unpackbits(bytes_of, axis=-1)[:, :, :bits].reshape(len(grey), -1), axis=1)
    sides = {256: ("I", [grey.shape[1]]), 258: ("H", [bits])}
    return rows, page(rows)[1] | sides


def tiff_of(
    *pages: tuple[NDArray[Any], Page], big: bool = False, order: str = "<", below: bool = False
) -> bytes:
    """A TIFF, or BigTIFF, of uncompressed pages; below: all but the first are SubIFDs of it."""
    offset, entry, number = ("Q", "HHQ", "Q") if big else ("I", "HHI", "H")
    size = struct.calcsize("<" + offset)
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(
        order + ("HHHQ" if big else "HI"), *((43, 8, 0, 0) if big else (42, 0))
    )
    body = bytearray(head)
    places: list[int] = []
    links: list[int] = []
    for values, tags in reversed(pages):
        strips = values.astype(values.dtype.newbyteorder(order)).tobytes()
        tiled = 322 in tags
        pieces = tags[277][1][0] if PLANES.items() <= tags.items() else 1
        pieces = values.shape[0] * values.shape[1] if tiled else pieces
        each = len(strips) // pieces
        starts = [len(body) + each * piece for piece in range(pieces)]
        offsets, counts = (324, 325) if tiled else (273, 279)
        tags = tags | {offsets: (offset, starts), counts: (offset, [each] * pieces)}
        body += strips + bytes(len(strips) % 2)
        if below and len(places) == len(pages) - 1:
            tags[330] = (offset, places[::-1])
        entries = b""
        for tag, (letter, numbers) in sorted(tags.items()):
            packed = struct.pack(f"{order}{len(numbers)}{letter}", *numbers)
            if len(packed) > size:
                place = len(body)
                body += packed + bytes(len(packed) % 2)
                packed = struct.pack(order + offset, place)
            entries += struct.pack(order + entry, tag, TYPES[letter], len(numbers)) + packed.ljust(
                size, b"\0"
            )
        places.append(len(body))
        body += struct.pack(order + number, len(tags)) + entries
        links.append(len(body))
        body += bytes(size)
    places.reverse()
    links.reverse()
    struct.pack_into(order + offset, body, len(head) - size, places[0])
    for at, following in zip(links, places[1:], strict=False):
        if not below:
            struct.pack_into(order + offset, body, at, following)
    return bytes(body)
