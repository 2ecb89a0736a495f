"""How frames look: upright, with square pixels, in the colours of a screen."""

from __future__ import annotations

import gc
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from face_service.video.frames import frames
from tests.formats import BT2020, HLG, MATRIX, PQ, hdr
from tests.vision.format_cases import P

from .clips import HEIGHT, WIDTH, number_of, numbered, write


@pytest.mark.parametrize(
    ("degrees", "mirrored", "turn"),
    [
        (90, False, lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE)),
        (-90, False, lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)),
        (180, False, lambda image: cv2.rotate(image, cv2.ROTATE_180)),
        (0, True, lambda image: cv2.flip(image, 1)),
        (45, False, lambda image: image),
    ],
)
def test_frames_are_upright(tmp_path: Path, degrees: int, mirrored: bool, turn: Any) -> None:
    def prepare(stream: Any) -> None:
        stream.set_display_rotation(degrees, hflip=mirrored)

    (found,) = frames(write(tmp_path / "clip.mp4", 3, prepare=prepare))
    expected = turn(numbered(0))
    assert found.image.shape == expected.shape
    assert np.abs(found.image.astype(int) - expected).mean() < 4


def test_pixels_become_square(tmp_path: Path) -> None:
    def prepare(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)

    path = write(tmp_path / "clip.mkv", 3, prepare=prepare)
    (found,) = frames(path)
    assert found.image.shape == (HEIGHT, WIDTH * 3 // 2, 3)
    assert number_of(found.image) == 0


@pytest.mark.parametrize("transfer", [PQ, HLG, 1], ids=["PQ", "HLG", "SDR"])
def test_hdr_and_wide_colours_become_the_picture_in_srgb(tmp_path: Path, transfer: int) -> None:
    """As in stills: what a still of the same samples is mapped to."""
    values = hdr(P, transfer) if transfer != 1 else wide(P)

    def tag(target: Any) -> None:
        target.color_primaries, target.color_trc = BT2020, transfer
        target.colorspace, target.color_range = BT2020, 1

    def clip(tagged: bool) -> Path:
        prepare = (lambda stream: tag(stream.codec_context)) if tagged else lambda _: None
        return write(
            tmp_path / f"{tagged}.mp4",
            2,
            lambda _: values,
            pixels="yuv444p10le",
            matrix=BT2020,
            prepare=prepare,
            tag=tag if tagged else lambda _: None,
            qp="4",
        )

    (found,) = frames(clip(tagged=True))
    assert np.abs(found.image.astype(int) - P).mean() < 1.5
    (untagged,) = frames(clip(tagged=False))
    assert np.abs(untagged.image.astype(int) - P).mean() > 5


def wide(image: np.ndarray) -> np.ndarray:
    """sRGB of 8 bits as BT.2020 of 16 with the same curve."""
    light = np.where(image <= 10.31, image / 3294.6, ((image / 255 + 0.055) / 1.055) ** 2.4)
    light = light[:, :, ::-1] @ MATRIX.T
    code = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.ascontiguousarray((code[:, :, ::-1] * 65_535).round().astype(np.uint16))


@pytest.mark.parametrize(("height", "matrix"), [(480, 5), (720, 1)])
def test_a_matrix_that_is_not_said_is_that_of_the_size(
    tmp_path: Path, height: int, matrix: int
) -> None:
    def picture(_: int) -> np.ndarray:
        return np.full((height, 640, 3), (40, 60, 200), np.uint8)

    def tagged(tag: int) -> np.ndarray:
        def prepare(stream: Any) -> None:
            stream.codec_context.colorspace = tag

        (found,) = frames(write(tmp_path / f"{tag}.mp4", 1, picture, prepare=prepare, qp="1"))
        return found.image.astype(int)

    other = 6 - matrix
    assert np.abs(tagged(2) - tagged(matrix)).mean() < 1
    assert np.abs(tagged(2) - tagged(other)).mean() > 3


def test_frames_are_freed_without_a_collection_of_garbage(tmp_path: Path) -> None:
    """A circle would keep them: an hour of 1080p took 0.8 GB."""
    path = write(tmp_path / "clip.mp4", 60)
    gc.collect()
    gc.disable()
    try:
        kept = [
            sum(type(each).__name__ == "VideoFrame" for each in gc.get_objects())
            for _ in frames(path, every=0)
        ]
    finally:
        gc.enable()
    assert len(kept) == 60
    assert 0 < max(kept) < 10
