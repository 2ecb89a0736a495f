"""Quantising a pack: for real on a small scale, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_service.engine_factory.builder import Canvases, build_engine
from face_service.errors import FaceServiceError, InvalidRequest, PackError
from face_service.face_engine import FaceEngine
from face_service.packs.entries import Role
from face_service.packs.local import load_folder
from face_service.packs.pack import Pack
from face_service.runtime.providers import CPU
from face_service.tools.evaluation import Pairs
from face_service.tools.quantization import calibration as calibration_module
from face_service.tools.quantization import pack as module
from face_service.tools.quantization.calibration import (
    GRIDS,
    MIN_CROPS,
    MIN_PHOTOS,
    Calibration,
    build_cpu_detector,
    calibrate,
    grid,
    spread,
    tile,
)
from face_service.tools.quantization.pack import Trial, covered, quantize_pack
from face_service.vision.blob import Image
from face_service.vision.canvas import Size
from face_service.vision.detections import NO_DETECTIONS, Detections

SQUARE = Canvases((Size(640, 640),), None)


@pytest.fixture(scope="module")
def photos(solvay: Path, six_faces_image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """35 faces in black and white and in colour, in parts as well, and a file that is no photo."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "1927").mkdir()
    # No larger than it has to be: the grids of the calibration read each photo thirty times.
    group, six = (
        cv2.resize(image, (900, 640), interpolation=cv2.INTER_AREA)
        for image in (cv2.imread(str(solvay)), six_faces_image)
    )
    cv2.imwrite(str(folder / "1927" / "solvay.jpg"), group)
    for number, part in enumerate((six, group) * 6):
        turned = part[:, number * 20 :: (-1) ** (number // 2)] if number % 4 < 2 else part[:, ::-1]
        cv2.imwrite(str(folder / f"{number:02}.jpg"), turned * (1 - 0.03 * number))
    (folder / "broken.jpg").write_text("not a picture")
    (folder / "notes.txt").write_text("not looked at")
    return folder


@pytest.fixture(scope="module")
def calibration(starter: Pack, photos: Path) -> Calibration:
    """What the detector of the starter pack sees on them."""
    return calibrate(photos, build_cpu_detector(starter, SQUARE, 2))


@pytest.fixture(scope="module")
def quantised(starter: Pack, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """The starter pack in int8, calibrated on a quarter of the grids and of the crops."""
    out = tmp_path_factory.mktemp("packs") / "starter-int8"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration_module, "GRIDS", 1)
        patch.setattr(calibration_module, "MAX_CROPS", 32)
        return quantize_pack(starter, photos, out, SQUARE, 2, None)


def test_a_quantised_pack_is_a_pack_of_its_own(quantised: Pack, starter: Pack) -> None:
    assert (quantised.name, quantised.precision) == ("starter-int8", "int8")
    assert quantised.dimension == starter.dimension
    assert quantised.licence == starter.licence
    assert quantised.threshold is None, "nobody has measured it"
    manifest = json.loads((quantised.directory / "manifest.json").read_text())
    assert manifest["quantization"] == "u8s7"
    for entry in manifest["models"]:
        model, source = quantised.models[entry["role"]], starter.models[entry["role"]]
        assert entry["sha256"] == model.sha256
        assert model.normalization == source.normalization
        small = entry["role"] in (Role.DETECTION, Role.RECOGNITION)
        assert (model.sha256 != source.sha256) == small
        assert (b"DequantizeLinear" in model.path.read_bytes()) == small


def test_its_weights_take_a_quarter_of_the_space(quantised: Pack, starter: Pack) -> None:
    for role in (Role.DETECTION, Role.RECOGNITION):
        before = starter.models[role].path.stat().st_size
        assert quantised.models[role].path.stat().st_size < 0.4 * before


def test_it_finds_the_same_faces_and_knows_them(
    quantised: Pack, engine: FaceEngine, six_faces_image: Image
) -> None:
    int8 = build_engine(quantised, SQUARE, (CPU,), threads=2)
    assert int8.info.precision == "int8"
    faces, expected = int8.analyse_image(six_faces_image), engine.analyse_image(six_faces_image)
    assert len(faces) == len(expected) == 6
    a, b = (np.stack([face.embedding for face in some]) for some in (faces, expected))
    cosines = a @ b.T
    assert cosines.max(axis=1).min() > 0.9
    assert cosines.argmax(axis=1).tolist() != [0] * 6
    assert sorted(cosines.argmax(axis=1)) == list(range(6)), "each is its own"
    assert cosines.max() < 0.9999, "int8, not a copy"


def test_what_is_there_is_never_overwritten(starter: Pack, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(PackError, match="mine is there already"):
        quantize_pack(starter, photos, tmp_path / "mine", SQUARE, 2, None)


def test_a_quantised_pack_is_not_quantised_again(
    quantised: Pack, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(PackError, match="quantised already"):
        quantize_pack(quantised, photos, tmp_path / "twice", SQUARE, 2, None)


def test_too_few_faces_are_refused_and_leave_nothing(starter: Pack, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidRequest, match=f"0 faces on 0 photos; at least {MIN_CROPS}"):
        quantize_pack(starter, tmp_path / "empty", tmp_path / "out", SQUARE, 2, None)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_many_faces_on_one_photo_are_too_few(starter: Pack, solvay: Path, tmp_path: Path) -> None:
    shutil.copy(solvay, tmp_path)
    with pytest.raises(InvalidRequest, match=f"29 faces on 1 photos; .* on {MIN_PHOTOS} are"):
        calibrate(tmp_path, build_cpu_detector(starter, SQUARE, 2))


def test_calibration_sees_what_the_service_sees(starter: Pack, calibration: Calibration) -> None:
    detector, seen = build_cpu_detector(starter, SQUARE, 2), calibration
    assert [path.name for path in seen.photos] == [
        *(f"{number:02}.jpg" for number in range(12)),
        "solvay.jpg",
    ]
    assert len(seen.crops) == 128
    shapes = [blob.shape for blob in seen.canvases(detector)]
    assert shapes == [(1, 3, 640, 640)] * (7 + 3 * GRIDS)
    assert sum(1 for _ in seen.held_out()) == 6 + 3 * GRIDS
    (first, *_) = seen.faces(starter.models[Role.RECOGNITION])
    assert first.shape == (1, 3, 112, 112)
    assert np.abs(first).max() <= 1


@pytest.mark.parametrize(("count", "most", "taken"), [(3, 5, [0, 1, 2]), (9, 3, [0, 4, 8])])
def test_what_is_too_much_is_spread_evenly(count: int, most: int, taken: list[int]) -> None:
    assert spread(range(count), most) == taken


def found_at(*boxes: tuple[float, float, float, float]) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32),
        np.ones(count, np.float32),
        np.zeros((count, 5, 2), np.float32),
    )


def test_a_face_is_found_where_boxes_overlap_by_half() -> None:
    box = np.array([0, 0, 100, 100], np.float32)
    assert covered(box, found_at((300, 0, 400, 100), (0, 0, 100, 60)))
    assert not covered(box, found_at((0, 0, 100, 40)))
    assert not covered(box, NO_DETECTIONS)


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch, calibration: Calibration) -> None:
    """Quantising, without the work: photos seen before, and for a network it and a mark."""

    def copy(source: Path, target: Path, samples: object, operators: object) -> None:
        target.write_bytes(source.read_bytes() + network_mark())

    monkeypatch.setattr(module, "calibrate", lambda *_: calibration)
    monkeypatch.setattr(module, "quantize_network", copy)
    monkeypatch.setattr(module, "disputed_faces", lambda *_: 0.0)


def network_mark() -> bytes:
    """An empty metadata_props of ModelProto: another file, the same network."""
    return bytes([14 << 3 | 2, 0])


@pytest.mark.usefixtures("copied")
@pytest.mark.parametrize(("disputed", "kept"), [(0.0, False), (0.01, False), (0.02, True)])
def test_a_detector_that_sees_other_faces_stays_as_it_was(
    disputed: float,
    kept: bool,
    starter: Pack,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "disputed_faces", lambda *_: disputed)
    made = quantize_pack(starter, photos, tmp_path / "out", SQUARE, 2, None)
    detection = made.models[Role.DETECTION].sha256
    assert (detection == starter.models[Role.DETECTION].sha256) == kept


class Fixed:
    """A detector that finds what it is told to."""

    def __init__(self, *found: Detections) -> None:
        self._found = iter(found)

    def preprocess(self, image: Image) -> list[object]:
        return []

    def detect(self, inputs: list[object]) -> Detections:
        return next(self._found)


def test_disputed_faces_are_the_clear_ones_of_either(six_faces_image: Image) -> None:
    here, there = (0, 0, 100, 100), (500, 0, 600, 100)
    both = found_at(here, there)
    unsure = replace(both, scores=np.array([0.9, 0.55], np.float32))

    def disputed(expected: Detections, found: Detections) -> float:
        return module.disputed_faces([six_faces_image], Fixed(expected), Fixed(found))

    assert disputed(both, both) == 0
    assert disputed(both, found_at(here)) == 1 / 2, "lost"
    assert disputed(found_at(here), both) == 1, "invented"
    assert disputed(unsure, found_at(here)) == 0, "borderline: may go"
    assert disputed(both, unsure) == 0, "found, if barely"


def test_a_grid_shows_every_photo_small() -> None:
    colours = [np.full((90, 90, 3), value, np.uint8) for value in (10, 20, 30, 40)]
    made = grid([tile(colour, 2) for colour in colours], 2)
    assert made.shape == (640, 640, 3)
    assert [made[y, x, 0] for y in (100, 500) for x in (100, 500)] == [10, 20, 30, 40]


def pairs(wrong: int) -> Pairs:
    """1,000 pairs of which no threshold judges more than 1,000 - `wrong` right."""
    same = np.arange(1000) % 2 == 0
    cosines = np.where(same, 0.8, 0.1)
    cosines[1 : 2 * wrong : 2] = 0.9
    return Pairs(cosines, same, 0)


@pytest.fixture
def trial(photos: Path, tmp_path: Path) -> Trial:
    rows = "00.jpg,01.jpg,1\n00.jpg,02.jpg,0\n" * 5
    (tmp_path / "pairs.csv").write_text(f"first,second,same\n{rows}")
    return Trial(tmp_path / "pairs.csv", photos)


def test_what_cannot_be_read_or_written_is_said_before_anything_is_computed(
    starter: Pack, photos: Path, trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "build_cpu_detector", None)
    elsewhere = replace(trial, photos=tmp_path)
    with pytest.raises(InvalidRequest, match=r"00\.jpg: No such file"):
        quantize_pack(starter, photos, tmp_path / "out", SQUARE, 2, elsewhere)
    with pytest.raises(PackError, match=r"pairs\.csv/out cannot be written: Not a directory"):
        quantize_pack(starter, photos, trial.pairs / "out", SQUARE, 2, trial)
    trial.pairs.write_text("first,second,same\n")
    with pytest.raises(InvalidRequest, match=r"pairs\.csv needs pairs"):
        quantize_pack(starter, photos, tmp_path / "out", SQUARE, 2, trial)
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.csv"]


def measured(monkeypatch: pytest.MonkeyPatch, source: int, quantised: int) -> None:
    results = iter((pairs(source), pairs(quantised)))
    monkeypatch.setattr(module, "measure_pairs", lambda *_: next(results))


@pytest.mark.usefixtures("copied")
def test_a_pack_that_loses_too_much_is_not_written(
    starter: Pack, photos: Path, trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, source=1, quantised=5)
    with pytest.raises(FaceServiceError, match=r"loses 0\.40% of accuracy.*0\.3% are allowed"):
        quantize_pack(starter, photos, tmp_path / "out", SQUARE, 2, trial)
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.csv"]


@pytest.mark.usefixtures("copied")
def test_a_pack_that_keeps_its_accuracy_gets_a_threshold_of_its_own(
    starter: Pack, photos: Path, trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, source=1, quantised=3)
    made = quantize_pack(starter, photos, tmp_path / "out", SQUARE, 2, trial)
    assert made.threshold
    assert made.threshold.similarity == pytest.approx(0.45)
    assert "pairs.csv, 1000 pairs" in made.threshold.measured_on
    assert "accuracy 99.70%" in made.threshold.measured_on
    assert made.threshold.false_match_rate == pytest.approx(3 / 500)
    assert load_folder(tmp_path / "out").threshold == made.threshold
