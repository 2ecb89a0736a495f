"""Which tiles a picture is looked at in, and what is kept of what they show."""

from __future__ import annotations

import numpy as np
import pytest

from face_service.vision.detections import Detections
from face_service.vision.looks import (
    AUTO_TILE,
    MAX_TILES,
    Detail,
    Tile,
    around,
    in_picture,
    smallest_face,
    tiles,
)


def covered(width: int, height: int, found: list[Tile]) -> np.ndarray:
    """How many tiles show each pixel."""
    shown = np.zeros((height, width), int)
    for tile in found:
        assert 0 <= tile.left < tile.left + tile.width <= width
        assert 0 <= tile.top < tile.top + tile.height <= height
        shown[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] += 1
    return shown


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (640, 480), (1280, 886), (1, 1)])
def test_a_frame_of_full_hd_and_less_is_looked_at_as_a_whole(size: tuple[int, int]) -> None:
    assert tiles(*size, 640, "auto") == tiles(*size, 640, "1") == []


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (50, 50)])
def test_a_picture_smaller_than_tiles_has_none(size: tuple[int, int]) -> None:
    assert tiles(*size, 640, "2") == tiles(*size, 640, "3") == []


@pytest.mark.parametrize(
    ("size", "detail", "count"),
    [
        ((4000, 3000), "auto", 9),
        ((12000, 2000), "auto", 20),
        ((2000, 12000), "auto", 20),
        ((1921, 1080), "auto", 2),
        ((25000, 2000), "auto", 20),
        ((20_000, 500), "auto", 20),
        ((5000, 5000), "auto", 16),
        ((4000, 3000), "2", 4),
        ((4000, 3000), "3", 9),
        ((12000, 2000), "2", 2),
        ((640, 3), "3", 3),
    ],
)
def test_tiles_cover_the_picture_and_are_bounded(
    size: tuple[int, int], detail: Detail, count: int
) -> None:
    found = tiles(*size, 640, detail)
    assert len(found) == count <= MAX_TILES
    assert covered(*size, found).min() == 1


def test_no_face_of_the_size_that_needs_them_is_cut_by_every_tile() -> None:
    """Whatever the whole picture, 12,000 pixels on 640, shows with less than 20 pixels is in one of
    the tiles as a whole."""
    found = tiles(12_000, 2000, 640, "auto")
    assert max(max(tile.width, tile.height) for tile in found) <= AUTO_TILE * 640 * 1.1
    face = int(20 * 12_000 / 640) - 2
    for left in range(0, 12_000 - face, 150):
        for top in (0, 400, 812, 2000 - face):
            assert any(
                tile.left <= left
                and tile.top <= top
                and left + face <= tile.left + tile.width
                and top + face <= tile.top + tile.height
                for tile in found
            ), (left, top)


def test_a_face_that_an_edge_has_cut_is_left_to_the_next_tile() -> None:
    boxes = [(50, 50, 90, 90), (0, 50, 40, 90), (60, 10, 101, 40), (50, 60, 80, 99.5)]
    shown = Detections(
        np.array(boxes, np.float32), np.ones(4, np.float32), np.zeros((4, 5, 2), np.float32)
    )
    middle = in_picture(shown, Tile(1000, 500, 100, 100), 4000, 3000, 0.5)
    assert middle.bboxes.tolist() == [[1050, 550, 1090, 590]]
    assert middle.landmarks.tolist() == [[[1000, 500]] * 5]
    corner = in_picture(shown, Tile(0, 0, 100, 100), 100, 100, 0.5)
    assert corner.bboxes.tolist() == shown.bboxes.tolist()  # the edges are those of the picture
    left = in_picture(shown, Tile(0, 0, 100, 100), 4000, 100, 0.5)
    assert left.bboxes[:, 0].tolist() == [50, 0, 50]


def test_the_smallest_face_follows_the_scale() -> None:
    assert smallest_face(640 / 1920) == pytest.approx(30)


@pytest.mark.parametrize(
    ("box", "tile"),
    [
        ((100, 100, 120, 140), Tile(50, 60, 120, 120)),
        ((-10, 0, 30, 40), Tile(0, 0, 70, 80)),
        ((280, 180, 310, 220), Tile(235, 140, 65, 60)),
        ((5, 5, 5, 5), Tile(5, 5, 1, 1)),
        ((300, 200, 300, 200), Tile(299, 199, 1, 1)),
    ],
)
def test_what_lies_around_a_face_is_in_the_picture(box: tuple[float, ...], tile: Tile) -> None:
    assert around(np.array(box, np.float32), 300, 200) == tile
