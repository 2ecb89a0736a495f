"""Photos from files: which are taken for photos."""

from __future__ import annotations

from pathlib import Path

from face_service.tools.photos import SUFFIXES, photos_in
from face_service.vision.image import SUPPORTED


def test_every_format_that_is_decoded_has_its_ending() -> None:
    formats = SUPPORTED.removeprefix("Supported: ").split(", ")
    assert {f".{name.lower()}" for name in formats} == SUFFIXES - {".jpg", ".tif", ".heif"}


def test_a_folder_is_no_photo(tmp_path: Path) -> None:
    (tmp_path / "album.jpg").mkdir()
    (tmp_path / "album.jpg" / "a.GIF").touch()
    (tmp_path / "notes.txt").touch()
    assert photos_in(tmp_path) == [tmp_path / "album.jpg" / "a.GIF"]
