"""Interlaced videos."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from face_service.video.fields import Fields, find_fields
from face_service.video.frames import frames
from face_service.video.opening import opened
from face_service.vision.combing import combing

from .clips import write


@pytest.fixture(scope="module")
def photo(four_faces: Path) -> np.ndarray:
    image = cv2.imread(str(four_faces))
    return np.ascontiguousarray(image[20:308, 40:552])


def of_two_moments(photo: np.ndarray, top_first: bool) -> Any:
    """A photo that moves eight pixels between two fields."""

    def picture(number: int) -> np.ndarray:
        moments = [np.roll(photo, 8 * (2 * number + field), axis=1) for field in (0, 1)]
        woven = moments[0 if top_first else 1].copy()
        woven[1::2] = moments[1 if top_first else 0][1::2]
        return woven

    return picture


def test_interlaced_frames_are_deinterlaced_by_their_neighbours(
    tmp_path: Path, photo: np.ndarray
) -> None:
    box = np.array([0, 0, *photo.shape[1::-1]], np.float32)
    for name, top_first in (("tff", True), ("bff", False)):
        picture = of_two_moments(photo, top_first)
        path = write(tmp_path / f"{name}.mp4", 30, picture, qp="10")
        with opened(path) as (file, stream):
            assert find_fields(file, stream) is Fields(name)
        with av.open(str(path)) as file:
            raw = next(file.decode(video=0)).to_ndarray(format="bgr24")
        assert combing(raw, box) > 20
        found = list(frames(path))
        assert [frame.ms for frame in found] == [0, 1000]
        assert all(combing(frame.image, box) < 3 for frame in found)
        expected = np.roll(photo, 8 * 2 * 25, axis=1).astype(int)
        assert np.abs(found[1].image - expected).mean() < 12, "the first field's moment"


def test_what_frames_say_of_fields_is_believed(tmp_path: Path, photo: np.ndarray) -> None:
    flags = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    picture = of_two_moments(photo, True)
    path = write(tmp_path / "marked.mp4", 10, picture, qp="10", **flags)
    with opened(path) as (file, stream):
        assert find_fields(file, stream) is Fields.MARKED
    box = np.array([0, 0, *photo.shape[1::-1]], np.float32)
    (found,) = frames(path)
    assert combing(found.image, box) < 3


def test_what_only_moves_is_progressive(tmp_path: Path, photo: np.ndarray) -> None:
    path = write(tmp_path / "pan.mp4", 30, lambda n: np.roll(photo, 8 * n, axis=1), qp="10")
    with opened(path) as (file, stream):
        assert find_fields(file, stream) is Fields.NONE


def test_a_camera_that_tilts_is_progressive(tmp_path: Path, photo: np.ndarray) -> None:
    """By a third of a row at a time, sharp: rows flicker as those of two fields do. With `idet`'s
    memory of the frames before, all of these are of two."""
    large = cv2.resize(photo, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)

    def picture(number: int) -> np.ndarray:
        return cv2.resize(np.roll(large, number, axis=0), photo.shape[1::-1])

    path = write(tmp_path / "tilt.mp4", 30, picture, qp="20")
    with opened(path) as (file, stream):
        assert find_fields(file, stream) is Fields.NONE


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({"tff": 30}, Fields.TOP),
        ({"bff": 9, "progressive": 20}, Fields.BOTTOM),
        ({"bff": 7}, Fields.NONE),
        ({"tff": 14, "progressive": 20}, Fields.TOP),  # telecine: two of five
        ({"tff": 10, "progressive": 30}, Fields.NONE),
        ({"tff": 44, "bff": 19, "progressive": 8}, Fields.NONE),  # FFmpeg's testsrc2, progressive
        ({"progressive": 30, "marked": 1}, Fields.MARKED),
    ],
)
def test_when_frames_are_of_two_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: dict[str, int], expected: Fields
) -> None:
    monkeypatch.setattr("face_service.video.fields.look", lambda *_: Counter(seen))
    with opened(write(tmp_path / "clip.mp4", 3)) as (file, stream):
        assert find_fields(file, stream) is expected
