"""Every format and variant that the documentation speaks of, and what becomes of each."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from face_service.errors import InvalidImage
from face_service.vision.blob import Image
from face_service.vision.image import decode
from tests.formats import (
    BT2020,
    HLG,
    PQ,
    avif,
    deep_avif,
    deep_heic,
    hdr,
    heic,
    jpeg_without_adobe,
    lossless_jpeg,
    packed,
    page,
    planes,
    png,
    tiff_of,
    tiles,
)
from tests.grids import avif_grid
from tests.images import encode, encode_16_bit, rotated

LIMIT = 1_000_000
LOSSY = 7.0
"""Most mean difference from the original, in levels of 255; of a palette and of inks as well."""


def picture() -> Image:
    """96×128, tinted, so that a swap of channels or of sides shows."""
    noise = np.random.default_rng(8).integers(0, 255, (7, 9, 3), np.uint8)
    image = cv2.resize(noise, (128, 96), interpolation=cv2.INTER_CUBIC)
    return (image * np.array([0.5, 0.75, 1.0])).astype(np.uint8)


P = picture()
RGB = np.ascontiguousarray(P[:, :, ::-1])
GREY = cv2.cvtColor(cv2.cvtColor(P, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
THUMBNAIL = page(np.ascontiguousarray(RGB[::4, ::4]), t254=("I", [1]))
FULL = page(RGB, t254=("I", [0]))
DEEP = P.astype(np.uint16) * 257
LINES = np.where(GREY > 100, np.uint8(255), np.uint8(0))
MOTION = struct.pack(">I4s", 1008, b"mpvd") + bytes(1000)
"""The box in which phones put the video of a picture, and nothing of it."""


class Case(NamedTuple):
    """A file, and the picture it shows; None: it is refused."""

    format: str
    variant: str
    data: bytes
    shows: Image | None = P


def twice(image_format: str, image: Image = P, **options: object) -> bytes:
    """An animation of a picture, and of the same turned over."""
    import PIL.Image

    second = PIL.Image.fromarray(image[::-1, :, ::-1].copy())
    return encode(image, image_format, save_all=True, append_images=[second], **options)


def jpeg_cases() -> Iterator[tuple[str, bytes, Image | None]]:
    yield "sequential, progressive", encode(P, "JPEG", quality=95, progressive=True), P
    yield "grey", encode(P, "JPEG", "L", quality=95), GREY
    yield "4:1:1", by_opencv(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x411111), P
    yield "with restart markers", by_opencv(cv2.IMWRITE_JPEG_RST_INTERVAL, 3), P
    yield "no Huffman tables, as webcams write it", without_segments(0xC4), P
    yield "RGB", encode(P, "JPEG", quality=95, keep_rgb=True), P
    yield "CMYK with Adobe's marker", encode(P, "JPEG", "CMYK", quality=95), P
    yield "CMYK without it, 0 is no ink", jpeg_without_adobe(P, inverted=False), P
    yield "CMYK without it, 255 is no ink", jpeg_without_adobe(P, inverted=True), P
    yield "turned by Exif", rotated(P, 6, "JPEG", quality=95), P
    whole = encode(P, "JPEG", quality=95)
    yield "XMP says tiff:Orientation=6, Exif nothing", with_xmp(whole), P
    yield "a second picture or a video behind (MPO, Ultra HDR, motion photo)", whole + whole, P
    yield "no end marker", whole[:-2], P
    yield "a few stray bytes before the end marker", whole[:-2] + b"\x11\x22" + whole[-2:], P
    yield "lossless, grey", lossless_jpeg(GREY[:, :, 0]), GREY
    yield "12 bits a sample", precise(whole, 12), None
    yield "JPEG-LS", whole[:2] + b"\xff\xf7" + whole[4:], None
    height = whole.index(b"\xff\xc0") + 5
    behind = b"\xff\xdc\x00\x04" + whole[height : height + 2]
    without = whole[:height] + b"\x00\x00" + whole[height + 2 : -2]
    yield "its height behind its pixels (DNL)", without + behind + whole[-2:], None


def by_opencv(*options: int) -> bytes:
    return cv2.imencode(".jpg", P, [cv2.IMWRITE_JPEG_QUALITY, 95, *options])[1].tobytes()


def without_segments(code: int) -> bytes:
    """A JPEG whose segments of a kind are left out."""
    jpeg = encode(P, "JPEG", quality=95)
    kept, at = jpeg[:2], 2
    while jpeg[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])
        kept += jpeg[at:end] if jpeg[at + 1] != code else b""
        at = end
    return kept + jpeg[at:]


def with_xmp(jpeg: bytes) -> bytes:
    xmp = b"http://ns.adobe.com/xap/1.0/\x00<rdf:Description tiff:Orientation='6'/>"
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp + jpeg[2:]


def precise(jpeg: bytes, bits: int) -> bytes:
    at = jpeg.index(b"\xff\xc0") + 4
    return jpeg[:at] + bytes((bits,)) + jpeg[at + 1 :]


CGBI = struct.pack(">I4s4sI", 4, b"CgBI", b"\x50\x00\x20\x02", 0x2BD5B37F)


def png_cases() -> Iterator[tuple[str, bytes, Image | None]]:
    plain = encode(P, "PNG")
    yield "8 bits, with or without alpha", encode(P, "PNG", "RGBA"), P
    yield "palette", encode(P, "PNG", "P"), P
    yield "1 bit", encode(LINES, "PNG", "1"), LINES
    yield "16 bits", png(DEEP), P
    yield "12 bits in 16, as 0 to 4,095", png(P.astype(np.uint16) * 16), P
    yield "turned by eXIf", rotated(P, 8, "PNG"), P
    yield "an animation (APNG): its first frame", twice("PNG"), P
    yield "PQ, BT.2020 (cICP)", png(hdr(P, PQ), b"cICP", bytes((BT2020, PQ, 0, 1))), P
    yield "HLG, BT.2020 (cICP)", png(hdr(P, HLG), b"cICP", bytes((BT2020, HLG, 0, 1))), P
    large = b"icc\x00\x00" + zlib.compress(bytes(2_000_000))
    yield "a profile of megabytes", png(P, b"iCCP", large), P
    yield "a wrong checksum in a text chunk", png(P, b"tEXt", b"a\x00b", 7), P
    yield "a broken chunk of an animation", png(P, b"acTL", b"\xff" * 3), P
    yield "no end (IEND)", plain[:-12], P
    yield "of an app for iPhones (CgBI)", plain[:8] + CGBI + plain[8:], None


def webp_cases() -> Iterator[tuple[str, bytes, Image | None]]:
    yield "lossy", encode(P, "WEBP", quality=95), P
    yield "lossless, with alpha", encode(P, "WEBP", "RGBA", lossless=True), P
    yield "an animation: its first frame", twice("WEBP", quality=95), P
    yield "turned by Exif", rotated(P, 3, "WEBP", quality=95), P


def other_cases() -> Iterator[tuple[str, str, bytes, Image | None]]:
    yield "BMP", "24 bits", encode(P, "BMP"), P
    yield "BMP", "32 bits, with alpha", encode(P, "BMP", "RGBA"), P
    yield "BMP", "palette", encode(P, "BMP", "P"), P
    yield "BMP", "1 bit", encode(LINES, "BMP", "1"), LINES
    coarse = P & np.array([0xF8, 0xFC, 0xF8], np.uint8)
    yield "BMP", "16 bits with masks, its header short or long", coarse_bmp(), coarse
    gif, animation = encode(P, "GIF"), twice("GIF")
    yield "GIF", "a picture", gif, P
    yield "GIF", "interlaced", encode(P, "GIF", interlace=1), P
    yield "GIF", "an animation: its first frame", animation, P
    yield "GIF", "its last byte lacks", gif[:-1], P
    yield "GIF", "an animation cut behind its first frame", animation[: len(animation) * 7 // 10], P


def coarse_bmp() -> bytes:
    """5, 6 and 5 bits, under a BITMAPV5HEADER."""
    red, green, blue = (RGB[::-1] >> (3, 2, 3)).astype("<u2").transpose(2, 0, 1)
    rows = (red << 11 | green << 5 | blue).tobytes()
    head = struct.pack("<IiiHHIIiiII", 124, *P.shape[1::-1], 1, 16, 3, len(rows), 0, 0, 0, 0)
    head += struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    begin = 14 + 124
    return struct.pack("<2sIII", b"BM", begin + len(rows), 0, begin) + head.ljust(124, b"\0") + rows


def tiff_cases() -> Iterator[tuple[str, bytes, Image | None]]:
    yield "uncompressed", encode(P, "TIFF"), P
    yield "LZW", encode(P, "TIFF", compression="tiff_lzw"), P
    yield "Deflate", encode(P, "TIFF", compression="tiff_adobe_deflate"), P
    yield "PackBits", encode(P, "TIFF", compression="packbits"), P
    yield "JPEG", encode(P, "TIFF", compression="jpeg", quality=95), P
    yield "1 bit, fax (group 3, group 4)", encode(LINES, "TIFF", "1", compression="group4"), LINES
    yield "palette", encode(P, "TIFF", "P"), P
    yield "with alpha", encode(P, "TIFF", "RGBA"), P
    yield "CMYK", encode(P, "TIFF", "CMYK"), P
    yield "turned by its orientation", rotated(P, 6, "TIFF"), P
    yield "BigTIFF, little-endian", tiff_of(page(RGB), big=True), P
    yield "BigTIFF, big-endian", tiff_of(page(RGB), big=True, order=">"), P
    yield "16 bits", encode_16_bit(P, ".tiff"), P
    yield "12 bits in 16, as 0 to 4,095", tiff_of(page(RGB.astype(np.uint16) * 16)), P
    yield "floating point, 0 to 1", tiff_of(page((RGB / 255).astype(np.float32))), P
    yield "floating point, 0 to 255", tiff_of(page(RGB.astype(np.float32))), P
    yield "floating point of 64 bits, 0 to 65,535", tiff_of(page(RGB * 257.0)), P
    deep = GREY[:, :, 0].astype(np.uint16) * 257
    inverse = tiles(65_535 - deep, 48, t262=("H", [0]))
    yield "16 bits, grey in tiles", tiff_of(tiles(deep, 48)), GREY
    yield "16 bits, grey in tiles, 0 is white", tiff_of(inverse), GREY
    yield "16 bits, 12 of them used, grey in tiles", tiff_of(tiles(deep >> 4, 48)), GREY
    with_alpha = tiles(np.dstack([deep, deep]), 48)
    yield "16 bits, grey with alpha in tiles", tiff_of(with_alpha), None
    yield "8 bits in tiles", tiff_of(tiles(RGB, 64)), P
    yield "8 bits in uncompressed tiles of 48×48", tiff_of(tiles(RGB, 48)), None
    yield "12 bits without gaps", tiff_of(packed(GREY[:, :, 0], 12)), GREY
    yield "in planes, 8 bits", tiff_of(planes(RGB)), P
    yield "in planes, 16 bits", tiff_of(planes(RGB.astype(np.uint16) * 257)), P
    yield "in planes, 12 bits in 16", tiff_of(planes(RGB.astype(np.uint16) * 16)), None
    yield "in planes, floating point", tiff_of(planes((RGB / 255).astype(np.float32))), None
    yield "4 bits, grey", tiff_of(packed(GREY[:, :, 0], 4)), None
    yield "more than four samples", tiff_of(page(np.dstack([RGB, RGB]))), None
    yield "floating point of 16 bits", tiff_of(page((RGB / 255).astype(np.float16))), None
    yield "samples with a sign", tiff_of(page(RGB.astype(np.int16) * 128)), None
    yield "integers of 32 bits", tiff_of(page(RGB.astype(np.uint32))), None
    inks = np.dstack([255 - RGB, RGB[:, :, :1] * 0]).astype(np.uint16) * 257
    yield "CMYK of 16 bits", tiff_of(page(inks, t262=("H", [5]))), None
    for number, name in UNREAD_COMPRESSIONS.items():
        yield name, tiff_of(page(RGB, t259=("H", [number]))), None
    yield "a thumbnail, then the picture", tiff_of(THUMBNAIL, FULL), P
    yield "a thumbnail, the picture below it (SubIFDs)", tiff_of(THUMBNAIL, FULL, below=True), P
    yield "several pages: the first one", tiff_of(FULL, page(RGB[::-1].copy())), P
    yield "a thumbnail alone", tiff_of(THUMBNAIL), None
    sensor = page(RGB[:, :, 0].astype(np.uint16), t254=("I", [0]), t262=("H", [32803]))
    yield "a raw file: NEF", tiff_of(THUMBNAIL, sensor, below=True), None
    yield "a raw file: DNG", tiff_of(page(RGB, t50706=("B", [1, 4, 0, 0]))), None


def heic_cases() -> Iterator[tuple[str, bytes, Image | None]]:
    yield "8 bits", heic(P), P
    yield "10 bits", deep_heic(DEEP), P
    yield "10 bits, 4:2:2, as cameras write it", deep_heic(DEEP, chroma="422"), P
    yield "with alpha", heic(P, mode="RGBA"), P
    yield "a video behind (motion photo)", heic(P) + MOTION, P
    yield "a grid of tiles, as phones write it", heic(P, tile=64), P
    yield "grey", heic(GREY), GREY
    lying = np.ascontiguousarray(np.rot90(P))
    yield "turned by irot, and Exif says so again", heic(lying, orientation=6), P
    nclx = {"color_primaries": BT2020, "matrix_coefficients": 9, "full_range_flag": 1}
    yield "PQ, BT.2020", deep_heic(hdr(P, PQ), transfer_characteristics=PQ, **nclx), P


def avif_cases() -> Iterator[tuple[str, bytes, Image | None]]:
    yield "8 bits", avif(P), P
    yield "10 bits", deep_avif(DEEP), P
    yield "a grid of tiles", avif_grid(P, 64, avif), P
    yield "4:4:4, limited range", avif(P, subsampling="4:4:4", range="limited"), P
    yield "grey", avif(P, mode="L"), GREY
    yield "with alpha", avif(P, mode="RGBA"), P
    yield "turned by irot", avif(np.ascontiguousarray(np.rot90(P)), orientation=6), P
    yield "mirrored by imir", avif(np.ascontiguousarray(P[:, ::-1]), orientation=2), P
    yield "an animation: its still picture", twice("AVIF", quality=90, speed=10), P
    yield "PQ, BT.2020", deep_avif(hdr(P, PQ), BT2020, PQ), P
    yield "HLG, BT.2020", deep_avif(hdr(P, HLG), BT2020, HLG), P


UNREAD_COMPRESSIONS = {
    50000: "Zstandard",
    34925: "LZMA",
    50001: "WebP",
    34934: "JPEG XR",
    65000: "by a scheme without a name",
    6: "old JPEG",
}
FTYP = b"\x00\x00\x00\x18ftyp"
UNREAD = {
    "JPEG XL": b"\xff\x0a",
    "JPEG 2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n",
    "raw file: CR3": FTYP + b"crx ",
    "raw file: RAF": b"FUJIFILMCCD-RAW ",
    "Photoshop": b"8BPS\x00\x01",
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "PDF": b"%PDF-1.7",
    "PostScript": b"%!PS-Adobe-3.0",
    "Netpbm": b"P6\n8 8\n255\n",
    "video: MP4": FTYP + b"isom",
    "video: QuickTime": FTYP + b"qt  ",
    "video: WebM": b"\x1aE\xdf\xa3",
    "video: AVI": b"RIFF\x00\x10\x00\x00AVI LIST",
    "video: MPEG transport stream": (b"G@\x11\x10" + bytes(184)) * 3,
    "video: H.264 or H.265 without a container": b"\x00\x00\x00\x01g",
    "sound": b"ID3\x04",
}


@cache
def cases() -> list[Case]:
    """All of them, in the order of the table."""
    named: dict[str, Callable[[], Iterator[tuple[str, bytes, Image | None]]]] = {
        "JPEG": jpeg_cases,
        "PNG": png_cases,
        "WebP": webp_cases,
        "TIFF": tiff_cases,
        "HEIC": heic_cases,
        "AVIF": avif_cases,
    }
    found = [Case(name, *case) for name, make in named.items() for case in make()]
    before_tiff = next(n for n, case in enumerate(found) if case.format == "TIFF")
    found[before_tiff:before_tiff] = [Case(*case) for case in other_cases()]
    return found + [Case(name, "", head + bytes(99), None) for name, head in UNREAD.items()]


def outcome(case: Case) -> str:
    """What becomes of a case: "read", or why it is refused."""
    try:
        decode(case.data, LIMIT)
    except InvalidImage as error:
        return re.sub(r"\. Supported: .*", "", f"{error}".removeprefix("Invalid image format: "))
    return "read"
