"""What a file is, told by its first bytes, never by a name or a declared type."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

HEAD = 64
"""How many of the first bytes tell the format: of HEIF and of videos some brands are looked at."""
HEIC_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"heif")
)
AVIF_BRANDS = frozenset((b"avif", b"avis"))
STILL_BRANDS = frozenset((b"mif1", b"mif2", b"msf1", b"miaf"))
"""Of files whose codec another brand, or only their picture, tells."""
CONVERT = "convert it to JPEG"
EXTRACT = "convert it to JPEG, or take the JPEG that lies in it (exiftool -b -JpgFromRaw)"
FRAMES = "send frames of it, which the command frames of face-service takes out"


class Kind(NamedTuple):
    """A kind of file that is not read: its name with an article, what to do, whether it is a
    picture."""

    name: str
    advice: str
    picture: bool = True


NETPBM = tuple(b"P%d\n" % number for number in range(1, 8))
RAW = Kind("a camera's raw file", EXTRACT)
UNREAD: Mapping[bytes, Kind] = MappingProxyType(
    {
        b"\xff\x0a": Kind("a JPEG XL picture", CONVERT),
        b"\x00\x00\x00\x0cJXL ": Kind("a JPEG XL picture", CONVERT),
        b"\x00\x00\x00\x0cjP  ": Kind("a JPEG 2000 picture", CONVERT),
        b"\xff\x4f\xff\x51": Kind("a JPEG 2000 picture", CONVERT),
        b"FUJIFILM": RAW._replace(name="a camera's raw file (RAF)"),
        b"IIU\x00": RAW._replace(name="a camera's raw file (RW2)"),
        b"IIRO": RAW._replace(name="a camera's raw file (ORF)"),
        b"IIRS": RAW._replace(name="a camera's raw file (ORF)"),
        b"FOVb": RAW._replace(name="a camera's raw file (X3F)"),
        b"8BPS": Kind("a Photoshop document", CONVERT),
        b"v/1\x01": Kind("an OpenEXR picture", CONVERT),
        b"#?RADIANCE": Kind("a Radiance HDR picture", CONVERT),
        b"\x00\x00\x01\x00": Kind("an icon (ICO)", CONVERT),
        b"icns": Kind("an icon (ICNS)", CONVERT),
        b"gimp xcf": Kind("a GIMP document", CONVERT),
        b"AT&TFORM": Kind("a DjVu document", CONVERT),
        b"DDS ": Kind("a DDS texture", CONVERT),
        **dict.fromkeys(NETPBM, Kind("a Netpbm picture (PBM, PGM, PPM)", CONVERT)),
        b"%!PS": Kind("a PostScript document", "send its pictures", False),
        b"qoif": Kind("a QOI picture", CONVERT),
        b"II\xbc\x01": Kind("a JPEG XR picture", CONVERT),
        b"%PDF-": Kind("a PDF document", "send its pictures", False),
        b"PK\x03\x04": Kind("a ZIP archive", "send the files in it", False),
        b"\x1f\x8b": Kind("a gzip archive", "send the file in it", False),
        b"\x1aE\xdf\xa3": Kind("a Matroska or WebM video", FRAMES, False),
        b"G@\x00": Kind("an MPEG transport stream", FRAMES, False),
        b"G@\x11": Kind("an MPEG transport stream", FRAMES, False),
        b"FLV\x01": Kind("an FLV video", FRAMES, False),
        b"\x00\x00\x01\xba": Kind("an MPEG video", FRAMES, False),
        b"\x00\x00\x01\xb3": Kind("an MPEG video", FRAMES, False),
        b"0&\xb2u\x8ef\xcf\x11": Kind("a Windows Media video", FRAMES, False),
    }
)
QUICKTIME = Kind("a QuickTime video", FRAMES, False)
MP4 = Kind("an MP4 video", FRAMES, False)
SVG = Kind("an SVG drawing", "render it to PNG", False)
HTML = Kind("an HTML page", "send the picture itself", False)


def sniff(data: bytes | memoryview) -> str | None:
    """Name the format: `JPEG`, `PNG`, `WEBP`, `BMP`, `TIFF`, `GIF`, `HEIC` or `AVIF`; None for
    anything else."""
    head = bytes(data[:HEAD])
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith((b"II*\x00", b"MM\x00*", b"II+\x00\x08\x00", b"MM\x00+\x00\x08")):
        return "TIFF"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"BM"):
        return "BMP"
    if head[4:8] == b"ftyp":
        return sniff_heif(brands(head))
    return None


def brands(head: bytes) -> list[bytes]:
    """The major brand of an ISO-BMFF file, then those it is compatible with (ISO/IEC 14496-12,
    4.3)."""
    end = min(int.from_bytes(head[:4]), len(head))
    return [head[at : at + 4] for at in (8, *range(16, end, 4))]


def sniff_heif(named: list[bytes]) -> str | None:
    """`HEIC` or `AVIF`, if a file of these brands is a still picture."""
    major = named[0]
    if major in AVIF_BRANDS or (major in STILL_BRANDS and AVIF_BRANDS & {*named}):
        return "AVIF"
    return "HEIC" if major in HEIC_BRANDS | STILL_BRANDS else None


def name_unread(head: bytes) -> Kind | None:
    """The kind of a file that is not read, from its first HEAD bytes; None if it is not known."""
    if head[4:8] == b"ftyp":
        if head[8:12] == b"crx ":
            return RAW._replace(name="a camera's raw file (CR3)")
        return QUICKTIME if head[8:12] == b"qt  " else MP4
    if head[4:8] in (b"moov", b"mdat", b"wide"):
        return QUICKTIME
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return Kind("an AVI video", FRAMES, False)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return HTML
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return SVG
    return next((kind for start, kind in UNREAD.items() if head.startswith(start)), None)
