"""Every format and variant of the documentation: read as the picture it shows, or refused with its
true reason; what is cut is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from face_service.config import Settings
from face_service.errors import ImageTooLarge, InvalidImage
from face_service.vision import heif
from face_service.vision.image import check, decode
from tests.formats import avif, heic
from tests.images import encode
from tests.vision.format_cases import LIMIT, LOSSY, Case, P, cases, outcome
from tests.vision.format_tables import CUTS, PAGE, WRITERS, cut_outcomes, published, tables

EXACT = ("PNG", "TIFF", "BMP")
PALETTE = 20.0
ZEROS = ("zeros from half", "zeros at the end", "zeros within")
UNNOTICED = {
    "WebP": {"half of another"},
    "WebP, lossless": {"half of another"},
    "TIFF, uncompressed": {*ZEROS, "half of another"},
    "BMP": {*ZEROS, "half of another"},
}
"""Cuts that leave a file of which nothing in it says that it is damaged."""
BEHIND = ("at 0.9", "zeros at the end")
"""Cuts that hit the second frame of an animation alone."""
WHOLE = ("JPEG", "PNG", "GIF", "WebP")
"""How the names of formats begin that lack no pixel without their last byte."""


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.format}: {case.variant}")
def test_a_variant_is_read_right_or_refused_with_its_reason(case: Case) -> None:
    found = outcome(case)
    if case.shows is None:
        assert "not read" in found or "are read" in found or "raw file" in found, found
        return
    assert found == "read"
    image = decode(case.data, LIMIT)
    assert image.shape == case.shows.shape
    exact = case.format in EXACT and "JPEG" not in case.variant
    tolerance = PALETTE if "palette" in case.variant else 1.0 if exact else LOSSY
    assert np.abs(image.astype(int) - case.shows.astype(int)).mean() <= tolerance


@pytest.mark.parametrize("name", WRITERS)
def test_what_lacks_data_is_refused(name: str) -> None:
    for cut, found in zip(CUTS, cut_outcomes()[name], strict=True):
        behind = name == "PNG, animated" and cut in BEHIND
        if behind or (cut == "last byte" and name.startswith(WHOLE)):
            assert found == "whole"
        elif cut in UNNOTICED.get(name, ()):
            assert found == "not noticed"
        else:
            assert found == "refused", cut


def test_the_documentation_says_so() -> None:
    text = PAGE.read_text()
    assert published(text, tables()) == text, "run python -m tests.vision.format_tables"


def test_heic_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heif, "LIBRARIES", ("no_such_library",))
    heif.libheif.cache_clear()
    try:
        with pytest.raises(InvalidImage, match=r"a HEIC picture.*install pi-heif"):
            decode(heic(P), LIMIT)
        assert decode(avif(P), LIMIT).shape == P.shape
    finally:
        heif.libheif.cache_clear()


def test_avif_without_a_decoder_of_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert heif.reads_avif()
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "    AVIF:                        NO\n")
    heif.reads_avif.cache_clear()
    try:
        with pytest.raises(InvalidImage, match="an AVIF picture, which this build"):
            decode(avif(P), LIMIT)
    finally:
        heif.reads_avif.cache_clear()


@pytest.mark.parametrize("library", ["pi_heif", "pillow_heif"])
def test_either_library_reads_heic(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heif, "LIBRARIES", (library,))
    heif.libheif.cache_clear()
    try:
        assert np.abs(decode(heic(P), LIMIT).astype(int) - P.astype(int)).mean() < LOSSY
        opened = heif.libheif()
        assert opened and opened.__name__ == library
        assert opened.options.DECODE_THREADS == 1
    finally:
        heif.libheif.cache_clear()


@pytest.mark.parametrize("width", [8, 17, 31, 63, 97, 128])
@pytest.mark.parametrize("write", [heic, avif])
def test_rows_of_any_width_are_whole(width: int, write: object) -> None:
    """libheif's rows have a filling, and its memory goes with the file."""
    assert callable(write)
    image = np.ascontiguousarray(P[: width // 2 + 9, :width])
    found = decode(write(image), LIMIT)
    assert found.shape == image.shape
    assert np.abs(found[0].astype(int) - image[0].astype(int)).mean() < 3 * LOSSY


@pytest.mark.parametrize("size", [(8192, 6144), (12_000, 9000), (12_032, 9024)])
def test_phones_of_today_are_answered_by_default(size: tuple[int, int]) -> None:
    settings = Settings(_env_file=None)
    data = bytearray(encode(P, "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = size[1].to_bytes(2) + size[0].to_bytes(2)
    assert check(bytes(data), settings.max_image_pixels).header.width == size[0]
    with pytest.raises(ImageTooLarge):
        check(bytes(data), size[0] * size[1] - 1)
