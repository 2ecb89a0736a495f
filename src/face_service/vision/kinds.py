"""What a file is, told by its first bytes, never by a name or a declared type."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

HEAD = 400
"""How many of the first bytes tell the format: three packets of an MPEG transport stream begin in
them."""
PACKET, SYNC = 188, 0x47
"""Length of a packet of an MPEG transport stream, in bytes, and the byte that it begins with. On a
Blu-ray disc four bytes of a timestamp precede it."""
HEIC_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"heif")
)
AVIF_BRANDS = frozenset((b"avif", b"avis"))
STILL_BRANDS = frozenset((b"mif1", b"mif2", b"msf1", b"miaf"))
"""Brands that do not tell the codec: another brand of the file does, or only its picture."""
CONVERT = "convert it to JPEG"
EXTRACT = "convert it to JPEG, or take the JPEG that lies in it (exiftool -b -JpgFromRaw)"
FRAMES = "send frames of it, which the command frames of face-service takes out"
PICTURES = "send pictures"


class Kind(NamedTuple):
    """A kind of file that is not read: its name with an article, what to do, whether it is a
    picture."""

    name: str
    advice: str
    picture: bool = True

    @property
    def video(self) -> bool:
        """Whether frames can be taken out of it."""
        return self.advice == FRAMES


NETPBM = tuple(b"P%d\n" % number for number in range(1, 8))
BARE = tuple(b"\x00\x00\x00\x01" + unit for unit in (b"\x09", b"\x27", b"g", b"@\x01", b"F\x01"))
"""How H.264 and H.265 begin: an access unit delimiter, or the first set of parameters."""
SOUND = Kind("a sound", PICTURES, False)
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
        b"OggS": Kind("an Ogg video or sound", FRAMES, False),
        b"\x06\x0e+4\x02\x05\x01\x01": Kind("an MXF video", FRAMES, False),
        b".RMF": Kind("a RealMedia video", FRAMES, False),
        b"FLV\x01": Kind("an FLV video", FRAMES, False),
        b"\x00\x00\x01\xba": Kind("an MPEG video", FRAMES, False),
        b"\x00\x00\x01\xb3": Kind("an MPEG video", FRAMES, False),
        b"0&\xb2u\x8ef\xcf\x11": Kind("a Windows Media video", FRAMES, False),
        **dict.fromkeys(BARE, Kind("a video without a container (H.264 or H.265)", FRAMES, False)),
        b"ID3": SOUND,
        b"fLaC": SOUND,
    }
)
QUICKTIME = Kind("a QuickTime video", FRAMES, False)
QUICKTIME_BOXES = frozenset((b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"))
"""Types of boxes that a QuickTime file may begin with."""
MP4 = Kind("an MP4 video", FRAMES, False)
SOUND_BRANDS = frozenset((b"M4A ", b"M4B "))
RIFF: Mapping[bytes, Kind] = MappingProxyType(
    {b"AVI ": Kind("an AVI video", FRAMES, False), b"WAVE": SOUND}
)
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
    """`HEIC` or `AVIF`, if a file of these brands, the major one first, is a still picture; else
    None."""
    major = named[0]
    if major in AVIF_BRANDS or (major in STILL_BRANDS and AVIF_BRANDS & {*named}):
        return "AVIF"
    return "HEIC" if major in HEIC_BRANDS | STILL_BRANDS else None


def name_unread(head: bytes) -> Kind | None:
    """The kind of a file that is not read, from its first HEAD bytes; None if it is not known."""
    if head[4:8] == b"ftyp":
        if head[8:12] == b"crx ":
            return RAW._replace(name="a camera's raw file (CR3)")
        if head[8:12] in SOUND_BRANDS:
            return SOUND
        return QUICKTIME if head[8:12] == b"qt  " else MP4
    if head[4:8] in QUICKTIME_BOXES:
        return QUICKTIME
    if head.startswith(b"RIFF") and head[8:12] in RIFF:
        return RIFF[head[8:12]]
    if is_transport_stream(head):
        return Kind("an MPEG transport stream", FRAMES, False)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return HTML
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return SVG
    return next((kind for start, kind in UNREAD.items() if head.startswith(start)), None)


def is_transport_stream(head: bytes) -> bool:
    """Whether a file of these first HEAD bytes is an MPEG transport stream."""
    return any(head[at :: PACKET + gap][:2] == bytes((SYNC, SYNC)) for at, gap in ((0, 0), (4, 4)))
