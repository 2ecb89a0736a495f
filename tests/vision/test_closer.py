"""Further looks at real pictures: tiles, turns, close-ups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_service.engine_factory.builder import Canvases, build_engine
from face_service.face_engine import FaceEngine, Options, PreparedImage, finish
from face_service.faces import preprocess
from face_service.observability.timing import StageTimes
from face_service.packs.pack import Pack
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.vision.alignment import align_face
from face_service.vision.blob import Image
from face_service.vision.boxes import iou
from face_service.vision.canvas import Size
from face_service.vision.detector import CLOSEUP

FOUND = Options(embeddings=False, attributes=False, quality=False)
SQUARE = (Size(640, 640),)


@pytest.fixture(scope="module")
def close(starter: Pack, tmp_path_factory: pytest.TempPathFactory) -> FaceEngine:
    """The starter pack, whose detector takes 640×640 alone, with close-ups."""
    config = RuntimeConfig(threads=2, cache=tmp_path_factory.mktemp("cache"))
    return build_engine(starter, Canvases(SQUARE, CLOSEUP), (CPU,), config=config)


def photos_of(shared: Path, count: int) -> list[Image]:
    paths = sorted((shared / "faces" / "lfw").glob("*/*.jpg"))
    return [cv2.imread(str(path)) for path in paths[:: len(paths) // count]][:count]


def main_face(engine: FaceEngine, photo: Image, options: Options = FOUND) -> object:
    faces = engine.analyse_image(photo, options)
    return max(faces, key=lambda face: face.bbox[2] - face.bbox[0])


@pytest.fixture(scope="module")
def people(engine: FaceEngine, shared: Path) -> list[tuple[Image, np.ndarray]]:
    """Photos and the boxes of their main faces."""
    return [(photo, main_face(engine, photo).bbox) for photo in photos_of(shared, 20)]


def crowd(
    photos: list[tuple[Image, np.ndarray]], width: int, height: int, pixels: float
) -> tuple[Image, np.ndarray]:
    """Photos of people on a quiet ground, each face `pixels` wide or high; and their boxes."""
    image = np.full((height, width, 3), 128, np.uint8)
    columns = round(np.sqrt(len(photos) * width / height)) if width < 3 * height else len(photos)
    rows = -(-len(photos) // columns)
    boxes = []
    for number, (photo, box) in enumerate(photos):
        scale = pixels / min(box[2] - box[0], box[3] - box[1])
        small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        row, column = divmod(number, columns)
        left = int((column + 0.3) * width / columns)
        top = int((row + 0.3) * height / rows)
        image[top : top + small.shape[0], left : left + small.shape[1]] = small
        boxes.append(box * scale + (left, top, left, top))
    return image, np.array(boxes, np.float32)


@pytest.mark.parametrize("size", [(4000, 3000), (12000, 2000)])
def test_small_faces_of_a_large_picture_are_found_in_tiles(
    engine: FaceEngine, people: list[tuple[Image, np.ndarray]], size: tuple[int, int]
) -> None:
    image, boxes = crowd(people, *size, pixels=48)
    whole = engine.analyse_image(image, FOUND)
    auto = engine.analyse_image(image, replace(FOUND, detail="auto"))
    assert len(whole) < 5
    found = np.array([face.bbox for face in auto])
    assert all(iou(box, found).max() > 0.5 for box in boxes)
    assert len(auto) <= 22  # a face in two tiles is one; some photos show a second person


def test_a_frame_of_full_hd_has_the_same_faces_at_every_bit(
    engine: FaceEngine, six_faces_image: Image
) -> None:
    frame = cv2.resize(six_faces_image, (1920, 1080))
    one, auto = (
        engine.analyse_image(frame, replace(FOUND, detail=detail)) for detail in (None, "auto")
    )
    assert len(one) == len(auto) == 6
    for a, b in zip(one, auto, strict=True):
        assert np.array_equal(a.bbox, b.bbox)
        assert np.array_equal(a.landmarks, b.landmarks)


def test_each_tile_is_a_step_of_its_own_and_made_when_it_is_due(engine: FaceEngine) -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    prepared = preprocess(image, replace(FOUND, detail="2", rotations="all"), engine.preprocessor)
    assert len(prepared.inputs) == 1
    assert prepared.further == 4 + 3 * 5
    work = engine.detect(prepared, StageTimes())
    runs = 1 + sum(1 for _ in work)
    assert runs == 1 + prepared.further


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_photo_that_lies_shows_the_same_people(
    engine: FaceEngine, six_faces_image: Image, turns: int
) -> None:
    upright = engine.analyse_image(six_faces_image, Options(attributes=False))
    lying = np.ascontiguousarray(np.rot90(six_faces_image, turns))
    options = Options(attributes=False, rotations="auto")
    found = engine.analyse_image(lying, options)
    assert [face.rotation for face in found] == [90 * turns] * 6
    assert [face.usable for face in found] == [face.usable for face in upright]
    for face, same in zip(found, upright, strict=True):
        assert float(face.embedding @ same.embedding) > 0.999
        assert face.quality.pose == pytest.approx(same.quality.pose, abs=0.1)
    height, width = lying.shape[:2]
    corner = np.array([[0, height - 1], [width - 1, height - 1], [width - 1, 0]])[turns - 1]
    eye = found[0].landmarks[0] - corner  # where the turned photo's first pixel has gone
    assert np.abs(eye) == pytest.approx(upright[0].landmarks[0][:: -1 if turns % 2 else 1], abs=0.1)


def test_where_a_face_is_usable_nothing_is_turned(
    engine: FaceEngine, six_faces_image: Image
) -> None:
    for rotations, angles in (("auto", (0,)), ("all", (0, 90, 180, 270)), ("none", (0,))):
        options = replace(FOUND, rotations=rotations)
        prepared = preprocess(six_faces_image, options, engine.preprocessor)
        found = finish(engine.detect(prepared, StageTimes()))
        assert found.coverage.angles == angles
        assert len(found.faces) == 6


def test_a_face_that_is_found_the_wrong_way_up_is_not_trusted(
    open_pack: Pack, shared: Path
) -> None:
    """YuNet finds large faces upside down as well, and takes the chin for a forehead: their quality
    is good and their embeddings are nobody's."""
    made = build_engine(open_pack, Canvases(SQUARE, CLOSEUP), (CPU,), threads=1)
    options = Options(attributes=False, rotations="auto")
    fooled = 0
    for photo in photos_of(shared, 6):
        face = main_face(made, photo, options)
        assert face.rotation == 0
        for turns in (1, 2, 3):
            lying = np.ascontiguousarray(np.rot90(photo, turns))
            upright = made.analyse_image(lying, replace(options, rotations="none"))
            fooled += any(each.usable for each in upright)
            prepared = preprocess(lying, options, made.preprocessor)
            found = finish(made.detect(prepared, StageTimes()))
            assert found.coverage.angles in ((0, 90 * turns), (0, 90, 180, 270))
            again = main_face(made, lying, options)
            assert again.rotation == 90 * turns
            assert float(again.embedding @ face.embedding) > 0.99
    assert fooled > 6


def test_a_usable_face_is_compared_with_itself_in_small_runs_alone(
    close: FaceEngine, six_faces_image: Image
) -> None:
    runs: list[tuple[int, ...]] = []
    for network in close.networks:
        network.observer = lambda blob: runs.append(blob.shape[2:])
    try:
        found = close.analyse_image(six_faces_image, replace(FOUND, rotations="auto"))
    finally:
        for network in close.networks:
            network.observer = None
    assert {face.rotation for face in found} == {0}
    assert runs == [(640, 640), *[(128, 128)] * 4]


def test_age_and_gender_are_read_upright(
    with_edgeface: Callable[[str], Path], six_faces_image: Image
) -> None:
    from face_service.packs.local import load_folder

    made = build_engine(load_folder(with_edgeface("det_500m")), Canvases(SQUARE, None), (CPU,))
    options = Options(embeddings=False, quality=False, rotations="all", max_faces=3)
    upright = made.analyse_image(six_faces_image, options)
    lying = made.analyse_image(np.ascontiguousarray(np.rot90(six_faces_image)), options)
    assert [(face.age, face.gender) for face in lying] == [
        (face.age, face.gender) for face in upright
    ]
    assert {face.rotation for face in lying} == {90}


def test_a_pack_of_fixed_size_finds_crops_and_faces_that_fill_the_picture(
    close: FaceEngine, shared: Path
) -> None:
    for photo in photos_of(shared, 3):
        face = main_face(close, photo, Options(attributes=False, quality=False))
        crop = align_face(photo, face.landmarks)
        (again,) = close.analyse_image(crop, Options(attributes=False, quality=False))
        assert float(again.embedding @ face.embedding) > 0.9
        x1, y1, x2, y2 = face.bbox.clip(0, 250).astype(int)
        assert close.analyse_image(photo[y1:y2, x1:x2], FOUND)


def test_on_the_corner_of_the_canvas_where_the_graph_cannot_be_changed(
    close: FaceEngine, shared: Path
) -> None:
    whole = close._closeup.preprocessor
    corner = replace(close.preprocessor, corner=CLOSEUP)
    photo = photos_of(shared, 1)[0]
    crop = align_face(photo, main_face(close, photo).landmarks)
    (small,), (large,) = whole.preprocess(crop), corner.preprocess(crop)
    assert small.blob.shape[2:] == (128, 128)
    assert large.blob.shape[2:] == (640, 640)
    assert np.array_equal(large.blob[..., :128, :128], small.blob)
    found = close._detector.candidates(large)
    alone = close._closeup.candidates(small)
    assert iou(found.bboxes[0], alone.bboxes[:1])[0] > 0.8


def test_where_a_face_is_sure_there_is_no_close_up(
    close: FaceEngine, six_faces_image: Image
) -> None:
    runs: list[tuple[int, ...]] = []
    for network in close.networks:
        network.observer = lambda blob: runs.append(blob.shape[2:])
    try:
        close.analyse_image(six_faces_image, FOUND)
        close.analyse_image(np.zeros((90, 160, 3), np.uint8), FOUND)
    finally:
        for network in close.networks:
            network.observer = None
    assert runs == [(640, 640), (640, 640), (128, 128)]


def test_known_faces_are_not_looked_for_again(engine: FaceEngine, six_faces_image: Image) -> None:
    prepared = PreparedImage(six_faces_image, [], replace(FOUND, detail="3"), [])
    assert list(engine.detect(prepared, StageTimes())) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (70, 64)])
def test_pictures_of_odd_sizes_are_looked_at_in_every_way(
    close: FaceEngine, size: tuple[int, int]
) -> None:
    image = np.zeros((*size, 3), np.uint8)
    assert close.analyse_image(image, replace(FOUND, detail="3", rotations="auto")) == []


def test_a_pack_of_free_size_looks_on_the_canvas_that_is_asked_for(
    with_edgeface: Callable[[str], Path], six_faces_image: Image
) -> None:
    from face_service.packs.local import load_folder

    larger = (Size(960, 960),)
    made = build_engine(
        load_folder(with_edgeface("det_500m")), Canvases(SQUARE, None, (larger,)), (CPU,)
    )
    assert made.info.det_sizes == tuple(range(64, 961, 32))
    for side in (None, 320, 960):
        prepared = preprocess(six_faces_image, replace(FOUND, det_size=side), made.preprocessor)
        assert [each.blob.shape[2:] for each in prepared.inputs] == [(side or 640,) * 2]
        found = finish(made.detect(prepared, StageTimes()))
        assert (len(found.faces), found.coverage.det_size) == (6, side or 640)
        assert found.coverage.smallest_face == pytest.approx(10 * 1280 / (side or 640))
