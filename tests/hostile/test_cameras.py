"""Files as cameras, phones and scanners write them: read where every pixel is there, otherwise
refused by name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_service.errors import InvalidImage
from face_service.packs.pack import Pack
from face_service.vision.image import decode
from tests.hostile.test_headers import tiff
from tests.images import encode

LIMIT = 1_000_000
NOISE = np.random.default_rng(3).integers(0, 256, (25, 38, 3), np.uint8)
PHOTO = cv2.resize(NOISE, (151, 101), interpolation=cv2.INTER_CUBIC)
RESTARTS = {"restart_marker_blocks": 4}
MPF = b"\xff\xe2\x00\x0bMPF\x00" + b"\xff\xd9\x00\x00\x00"
"""A segment in which the bytes of an end stand, as a thumbnail has them."""


@pytest.mark.parametrize("options", [{}, RESTARTS], ids=["plain", "restarts"])
@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff", id="half of it"),
        pytest.param(bytes(5000), id="zeros"),
        pytest.param(b"SEFT" * 1000, id="a trailer"),
    ],
)
def test_a_jpeg_without_its_end_is_whole_where_every_pixel_is_there(
    behind: bytes, options: dict[str, int]
) -> None:
    data = encode(PHOTO, "JPEG", **options)
    assert np.array_equal(decode(data[:-2] + behind, LIMIT), decode(data, LIMIT))
    thumbnail = data[:2] + MPF + data[2:-2]
    assert np.array_equal(decode(thumbnail + behind, LIMIT), decode(data, LIMIT))


@pytest.mark.parametrize("progressive", [False, True], ids=["sequential", "progressive"])
def test_a_jpeg_that_is_cut_anywhere_is_refused_or_whole(progressive: bool) -> None:
    data = encode(NOISE, "JPEG", progressive=progressive)
    whole = decode(data, LIMIT)
    refused = 0
    for length in range(len(data)):
        try:
            assert np.array_equal(decode(data[:length], LIMIT), whole), length
        except InvalidImage:
            refused += 1
    assert refused >= len(data) - 3


FTYP = b"\x00\x00\x00\x18ftyp"


@pytest.mark.parametrize(
    ("head", "name"),
    [
        pytest.param(FTYP + b"crx ", "a camera's raw file (CR3)", id="CR3"),
        pytest.param(b"\xff\x0a", "a JPEG XL picture", id="JPEG XL"),
        pytest.param(b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL picture", id="JPEG XL in boxes"),
        pytest.param(b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 picture", id="JPEG 2000"),
        pytest.param(b"FUJIFILMCCD-RAW ", "a camera's raw file (RAF)", id="RAF"),
        pytest.param(b"IIU\x00", "a camera's raw file (RW2)", id="RW2"),
        pytest.param(b"IIRO", "a camera's raw file (ORF)", id="ORF"),
        pytest.param(b"8BPS\x00\x01", "a Photoshop document", id="PSD"),
        pytest.param(b"%PDF-1.7", "a PDF document", id="PDF"),
        pytest.param(b" \n<?xml version='1.0'?><svg xmlns='", "an SVG drawing", id="SVG"),
        pytest.param(b"<!DOCTYPE html><html>", "an HTML page", id="HTML"),
    ],
)
def test_a_format_that_is_not_read_is_named(head: bytes, name: str) -> None:
    said = f"Invalid image format: {name}, which is not read; "
    with pytest.raises(InvalidImage, match=re.escape(said) + "[^.]+. Supported: JPEG"):
        decode(head + bytes(100), LIMIT)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        pytest.param(FTYP + b"isom", "an MP4 video", id="MP4"),
        pytest.param(FTYP + b"qt  ", "a QuickTime video", id="MOV"),
        pytest.param(
            b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat", "a QuickTime video", id="old MOV"
        ),
        pytest.param(b"\x1aE\xdf\xa3", "a Matroska or WebM video", id="WebM"),
        pytest.param(b"RIFF\xff\xff\x00\x00AVI LIST", "an AVI video", id="AVI"),
        pytest.param((b"G@\x11\x10" + bytes(184)) * 3, "an MPEG transport stream", id="TS"),
        pytest.param(b"FLV\x01", "an FLV video", id="FLV"),
    ],
)
def test_a_video_is_named_and_what_to_do(head: bytes, name: str) -> None:
    said = f"Invalid image format: {name}, which is not read; send frames of it"
    with pytest.raises(InvalidImage, match=said):
        decode(head + bytes(100), LIMIT)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(tiff((254, 4, 1, 1), (330, 4, 1, 8)), id="NEF"),
        pytest.param(tiff((254, 4, 1, 1), (50706, 1, 4, 0x00000401)), id="DNG"),
        pytest.param(tiff((50706, 1, 4, 0x00000401)), id="a DNG without a preview"),
        pytest.param(tiff()[:8] + b"CR\x02\x00" + tiff()[12:], id="CR2"),
    ],
)
def test_the_preview_of_a_raw_file_is_not_taken_for_the_photo(data: bytes) -> None:
    with pytest.raises(InvalidImage, match="raw file"):
        decode(data, LIMIT)


@pytest.mark.parametrize("kind", [0, 2], ids=["the picture", "a page"])
def test_a_tiff_that_says_it_is_the_picture_is_read(kind: int) -> None:
    assert decode(tiff((254, 4, 1, kind)), LIMIT).shape == (40, 56, 3)


def test_photos_that_are_not_read_do_not_get_lost_in_a_folder(
    open_pack: Pack, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "IMG_1.JPG").write_bytes(b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(100))
    (folder / "IMG_1.MOV").write_bytes(b"\x00\x00\x00\x18ftypqt  " + bytes(100))
    command = [sys.executable, "-c", "from face_service.cli import main; main()", "detect", folder]
    for more in ((), ("--out", tmp_path / "faces.jsonl")):
        done = subprocess.run(
            [*command, *more],
            env={"MODEL_CACHE_DIR": str(open_pack.directory.parent), "INSIGHTFACE_MODEL": "open"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert "1 file with an error; 1 video passed over" in done.stderr
        if not more:
            assert "IMG_1.JPG: Invalid image format: a JPEG XL picture" in done.stderr
    (line,) = (tmp_path / "faces.jsonl").read_text().splitlines()
    assert "IMG_1.JPG" in line
    assert "JPEG XL" in line
