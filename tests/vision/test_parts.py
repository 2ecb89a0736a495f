"""Parts of a face that are found as faces of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_service.engine_factory.builder import Canvases, build_engine
from face_service.face_engine import Options
from face_service.packs.pack import Pack
from face_service.runtime.providers import CPU
from face_service.vision.canvas import Size
from face_service.vision.detections import Detections
from face_service.vision.detector import CLOSEUP
from face_service.vision.looks import Tile
from face_service.vision.parts import without_cut_parts, without_parts

Box = tuple[float, float, float, float, float]
"""x1, y1, x2, y2, score."""
LEFT = Tile(0, 0, 60, 100)
"""Of a picture of 100×100."""


def scored(*faces: Box) -> Detections:
    """Boxes and their scores, the best first."""
    rows = np.array(faces, np.float32).reshape(-1, 5)
    return Detections(rows[:, :4], rows[:, 4], np.zeros((len(rows), 5, 2), np.float32))


@pytest.mark.parametrize(
    ("faces", "kept"),
    [
        pytest.param([(40, 40, 70, 70, 0.65), (0, 0, 100, 100, 0.6)], [1], id="a part came first"),
        pytest.param([(0, 0, 100, 100, 0.8), (40, 40, 70, 70, 0.5)], [0], id="the part is weak"),
        pytest.param([(40, 40, 70, 70, 0.8), (0, 0, 100, 100, 0.75)], [0, 1], id="a sure face"),
        pytest.param([(40, 40, 70, 70, 0.65), (0, 0, 100, 100, 0.5)], [0, 1], id="a weak frame"),
        pytest.param([(0, 0, 100, 100, 0.8), (80, 80, 120, 120, 0.6)], [0, 1], id="half outside"),
        pytest.param([(0, 0, 50, 50, 0.6), (0, 0, 50, 50, 0.6)], [0, 1], id="neither is larger"),
    ],
)
def test_a_weak_box_inside_another_is_a_part_of_that_face(
    faces: list[Box], kept: list[int]
) -> None:
    boxes = scored(*faces)
    assert without_parts(boxes).bboxes.tolist() == boxes.bboxes[kept].tolist()


@pytest.mark.parametrize(
    ("angles", "kept"),
    [((90, 0), [0]), ((90, 90), [0, 1]), (None, [0, 1])],
    ids=["two ways", "one way", "never turned"],
)
@pytest.mark.parametrize("places", [(0, 1), (1, 0)], ids=["a frame", "a part"])
def test_of_a_face_that_is_found_two_ways_the_better_stays(
    angles: tuple[int, int] | None, kept: list[int], places: tuple[int, int]
) -> None:
    boxes = scored((40, 40, 70, 70, 0.94), (0, 0, 100, 100, 0.8))
    turned = None if angles is None else np.array(angles, np.int16)
    found = replace(boxes, bboxes=boxes.bboxes[list(places)], angles=turned)
    assert without_parts(found).bboxes.tolist() == found.bboxes[kept].tolist()


@pytest.mark.parametrize(
    ("whole", "kept"),
    [
        pytest.param((10, 10, 90, 90, 0.9), [], id="the tile cuts the face"),
        pytest.param((0, 10, 59, 90, 0.9), [0], id="the face lies in the tile"),
        pytest.param((-5, -5, 59, 105, 0.9), [0], id="the picture cuts the face"),
        pytest.param((10, 10, 90, 90, 0.7), [0], id="a weak frame"),
        pytest.param((45, 10, 90, 90, 0.9), [0], id="beside it"),
    ],
)
def test_a_sure_box_is_a_part_of_a_face_that_its_tile_cuts(whole: Box, kept: list[int]) -> None:
    half = scored((20, 20, 55, 80, 0.88))
    found = without_cut_parts(half, LEFT, scored(whole), 100, 100)
    assert found.bboxes.tolist() == half.bboxes[kept].tolist()


def test_a_large_face_in_the_middle_of_tiles_is_one_face(open_pack: Pack, shared: Path) -> None:
    """YuNet takes the half of a face that a tile shows for a face, as sure as of the whole."""
    made = build_engine(open_pack, Canvases((Size(640, 640),), CLOSEUP), (CPU,), threads=1)
    options = Options(embeddings=False, attributes=False, quality=False)
    for person in ("Charlton_Heston/Charlton_Heston_0001", "Gloria_Trevi/Gloria_Trevi_0003"):
        photo = cv2.imread(str(shared / "faces" / "lfw" / f"{person}.jpg"))
        large = cv2.resize(photo, (2500, 2500), interpolation=cv2.INTER_CUBIC)
        (face,) = made.analyse_image(large, options)
        for detail in ("2", "auto"):
            (again,) = made.analyse_image(large, replace(options, detail=detail))
            assert again.bbox == pytest.approx(face.bbox, abs=25)
