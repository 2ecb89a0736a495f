"""How frames look: upright, with square pixels, in the colours of a screen."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from face_service.video.frames import frames

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


@pytest.mark.parametrize(("transfer", "expected"), [(16, 182), (18, 142)], ids=["PQ", "HLG"])
def test_hdr_is_mapped_to_the_range_of_a_screen(
    tmp_path: Path, transfer: int, expected: int
) -> None:
    """A signal of a half is 92 cd/m² in PQ and 51 in HLG; white is 203 (BT.2408), the screen's
    exponent 2.4 (BT.1886). OpenCV gives the same (findings/opencv-hdr-video.sh)."""

    def tag(target: Any) -> None:
        target.color_primaries, target.color_trc = 9, transfer
        target.colorspace, target.color_range = 9, 1

    def grey(_: int) -> np.ndarray:
        return np.full((64, 64, 3), 127, np.uint8)

    def prepare(stream: Any) -> None:
        tag(stream.codec_context)

    path = write(tmp_path / "hdr.mp4", 2, grey, pixels="yuv420p10le", prepare=prepare, tag=tag)
    (found,) = frames(path)
    assert np.abs(found.image.astype(int) - expected).max() <= 3
    with av.open(str(path)) as file:
        unmapped = next(file.decode(video=0)).to_ndarray(format="bgr24")
    assert np.abs(unmapped.astype(int) - 127).max() <= 2


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
