"""Photos from files: for calibration, evaluation and the bench."""

from __future__ import annotations

from pathlib import Path

from face_service.errors import InvalidImage, InvalidRequest, RequestError
from face_service.vision.blob import Image
from face_service.vision.image import decode

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".heic", ".heif", ".avif"}
)
"""Endings of the files that are taken for photos: those of the formats that `vision.image`
decodes."""
MAX_PIXELS = 10**9
"""Pixels of a photo. In practice no limit: these are the caller's own files."""


def photos_in(folder: Path) -> list[Path]:
    """The files in a folder and below it that end in one of SUFFIXES, sorted by path; none where
    there is no such folder."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in found if not path.is_dir())


def photo_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises InvalidRequest, which names the file, where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror or error}") from error


def read_photo(path: Path) -> Image:
    """The pixels of a file: uint8 [height, width, 3], BGR, upright.

    Raises InvalidRequest where it cannot be read or decoded, which names the file.
    """
    content = photo_bytes(path)
    try:
        return decode(content, MAX_PIXELS)
    except RequestError as error:
        raise InvalidImage(f"{path}: {error}") from error
