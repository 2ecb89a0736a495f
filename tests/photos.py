"""Solvay 1927, the one photo of people that may be shown: it is in the public domain."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np

from face_service.packs.archive import extract
from face_service.packs.catalog import find
from face_service.packs.entries import PypiPackage
from face_service.packs.sources import fetch

ROOT = Path(__file__).resolve().parent.parent
SOLVAY = "scrfd-0.3.0/images/solvay_conference_1927.jpg"


def solvay_photo() -> Path:
    """3000×2171, 29 faces. Inside the sdist of scrfd, kept in models/.photos."""
    kept = ROOT / "models" / ".photos" / "solvay.jpg"
    if not kept.is_file():
        source = next(file.source for file in find("starter").files if file.name == "scrfd.onnx")
        assert isinstance(source, PypiPackage)
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder)
            extract(fetch(source, scratch), {SOLVAY: scratch / "solvay.jpg"})
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(scratch / "solvay.jpg", kept)
    return kept


def middle(folder: Path) -> Path:
    """The middle of it, 1200×760: thirteen people, Curie, Lorentz and Einstein in front."""
    return saved(folder / "middle.jpg", cv2.imread(str(solvay_photo()))[840:1600, 560:1760])


def four_faces(folder: Path) -> Path:
    """Born, Wilson, Bohr and Richardson, at its right, 610×340: a seventh of the work of all 29."""
    return saved(folder / "four.jpg", cv2.imread(str(solvay_photo()))[1010:1350, 2220:2830])


def mirrored(folder: Path) -> Path:
    """The middle, mirrored and three quarters as large: another picture of the same people."""
    picture = cv2.flip(cv2.imread(str(middle(folder))), 1)
    return saved(folder / "mirrored.jpg", cv2.resize(picture, None, fx=0.75, fy=0.75))


def saved(path: Path, picture: np.ndarray) -> Path:
    """Write a picture and say where."""
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return path
