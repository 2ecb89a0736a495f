"""A folder of ONNX files as a pack."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from face_service.errors import PackError
from face_service.packs.entries import Role
from face_service.packs.local import UNKNOWN_LICENCE, load_folder
from face_service.packs.pack import Pack, sha256_of
from face_service.vision.blob import (
    AGE_AND_GENDER_NORMALIZATION,
    ARCFACE_NORMALIZATION,
    EMBEDDED_NORMALIZATION,
    SCRFD_NORMALIZATION,
    Normalization,
)


def test_roles_are_read_off_the_networks(folder: Path, make: Any) -> None:
    (folder / "a.onnx").write_bytes(make.network(96, 3))
    (folder / "b.onnx").write_bytes(make.network(64, 81))
    (folder / "c.onnx").write_bytes(make.network(32, 2))
    pack = load_folder(folder)
    assert {role: model.path.name for role, model in pack.models.items()} == {
        Role.DETECTION: "det.onnx",
        Role.RECOGNITION: "rec.onnx",
        Role.GENDERAGE: "a.onnx",
        Role.AGE: "b.onnx",
        Role.GENDER: "c.onnx",
    }
    assert pack.name == "mine"
    assert pack.dimension == 512
    assert pack.threshold is None
    assert pack.licence == UNKNOWN_LICENCE
    for model in pack.models.values():
        assert model.sha256 == sha256_of(model.path)


def test_a_network_whose_input_has_no_shape_is_not_used(folder: Path, make: Any) -> None:
    (folder / "rec.onnx").write_bytes(make.onnx({"data": ()}, {"fc1": (1, 512)}))
    said = r"(?s)no recognition network.*rec\.onnx: no role, or more than one, fits inputs \?; "
    with pytest.raises(PackError, match=said):
        load_folder(folder)


def test_landmark_networks_are_not_used_and_said_so(
    folder: Path, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "1k3d68.onnx").write_bytes(make.network(192, 3309))
    (folder / "2d106det.onnx").write_bytes(make.network(192, 212))
    with caplog.at_level(logging.INFO):
        assert set(load_folder(folder).models) == {Role.DETECTION, Role.RECOGNITION}
    for name in ("1k3d68.onnx", "2d106det.onnx"):
        assert f"{name} is not used: a landmark network" in caplog.text


SUB_AND_MUL = (["Sub_0", "Mul_1"], ["_minusscalar0", "_mulscalar0"], ["x"] * 6 + ["Mul", "Sub"])


@pytest.mark.parametrize("nodes", SUB_AND_MUL)
@pytest.mark.parametrize(("side", "axis"), [(112, 512), (96, 3)])
def test_network_that_normalises_for_itself_gets_raw_pixels(
    folder: Path, make: Any, nodes: list[str], side: int, axis: int
) -> None:
    (folder / "rec.onnx").write_bytes(make.network(112, 512, nodes))
    (folder / "ga.onnx").write_bytes(make.network(96, 3, nodes))
    role = Role.RECOGNITION if side == 112 else Role.GENDERAGE
    assert load_folder(folder).models[role].normalization == EMBEDDED_NORMALIZATION


@pytest.mark.parametrize(
    "nodes",
    [["Conv_0"], ["Sub_0"], ["Mul_0"], ["x"] * 8 + ["Sub", "Mul"], ["/stem/Sub", "/stem/Mul"]],
)
def test_network_that_does_not_gets_insightface_constants(
    folder: Path, make: Any, nodes: list[str]
) -> None:
    (folder / "rec.onnx").write_bytes(make.network(112, 512, nodes))
    (folder / "ga.onnx").write_bytes(make.network(96, 3, nodes))
    models = load_folder(folder).models
    assert models[Role.RECOGNITION].normalization == ARCFACE_NORMALIZATION
    assert models[Role.GENDERAGE].normalization == Normalization((127.5, 127.5, 127.5), 128.0)
    assert models[Role.DETECTION].normalization == SCRFD_NORMALIZATION


@pytest.mark.parametrize(
    ("nodes", "raw"), [(["a", "b", "bn_data"], True), (["a", "b", "c", "bn_data"], False)]
)
def test_bn_data_counts_for_genderage_alone(
    folder: Path, make: Any, nodes: list[str], raw: bool
) -> None:
    (folder / "rec.onnx").write_bytes(make.network(112, 512, nodes))
    (folder / "ga.onnx").write_bytes(make.network(96, 3, nodes))
    models = load_folder(folder).models
    assert (models[Role.GENDERAGE].normalization == EMBEDDED_NORMALIZATION) is raw
    assert models[Role.RECOGNITION].normalization == ARCFACE_NORMALIZATION


def test_age_and_gender_are_prepared_as_in_the_catalogue(folder: Path, make: Any) -> None:
    (folder / "b.onnx").write_bytes(make.network(64, 81))
    (folder / "c.onnx").write_bytes(make.network(32, 2))
    models = load_folder(folder).models
    assert models[Role.AGE].normalization == AGE_AND_GENDER_NORMALIZATION
    assert models[Role.GENDER].normalization == AGE_AND_GENDER_NORMALIZATION


@pytest.mark.parametrize("name", ["det.onnx", "rec.onnx"])
def test_detection_and_recognition_are_required(folder: Path, name: str) -> None:
    (folder / name).unlink()
    role = {"det.onnx": "detection", "rec.onnx": "recognition"}[name]
    with pytest.raises(PackError, match=f"holds no {role} network"):
        load_folder(folder)


def test_a_folder_too_many_is_named(folder: Path) -> None:
    """Some programs unpack raccoon_l.zip as raccoon_l/raccoon_l."""
    outer = folder.parent / "outer"
    outer.mkdir()
    folder.rename(outer / "mine")
    with pytest.raises(PackError, match=r"(?s)no detection network.*There are networks in .*mine"):
        load_folder(outer)


def test_detector_without_landmarks_is_refused_with_the_reason(folder: Path, make: Any) -> None:
    (folder / "det.onnx").write_bytes(make.detector(outputs=6))
    with pytest.raises(PackError, match=r"(?s)no detection network.*det\.onnx: 6 outputs.*align"):
        load_folder(folder)


def test_nine_outputs_alone_do_not_make_a_detector(folder: Path, make: Any) -> None:
    """An SSR-Net for age has nine outputs, too."""
    outputs = {f"o{n}": (1, 3) for n in range(9)}
    (folder / "age.onnx").write_bytes(make.onnx({"x": (1, 3, 64, 64)}, outputs))
    assert load_folder(folder).models[Role.DETECTION].path.name == "det.onnx"


def test_two_files_for_one_role(folder: Path, make: Any) -> None:
    (folder / "rec2.onnx").write_bytes(make.network(112, 256))
    with pytest.raises(PackError, match=r"two recognition networks, rec\.onnx and rec2\.onnx"):
        load_folder(folder)


def test_garbage_in_the_folder(folder: Path) -> None:
    (folder / "x.onnx").write_bytes(b"<html>404</html>")
    with pytest.raises(PackError, match=r"x\.onnx is not a whole ONNX file"):
        load_folder(folder)


def test_catalogued_files_are_known_by_their_hash(folder: Path, starter: Pack) -> None:
    """fr_feature wants BGR: nothing in the file says so, the catalogue does."""
    recogniser = starter.models[Role.RECOGNITION]
    shutil.copy(recogniser.path, folder / "rec.onnx")
    model = load_folder(folder).models[Role.RECOGNITION]
    assert model.normalization == recogniser.normalization
    assert model.normalization.order == "bgr"
    assert model.licence == recogniser.licence


def test_shared_models_make_a_pack(shared: Path, tmp_path: Path) -> None:
    for name in ("det_500m.onnx", "edgeface_xs.onnx"):
        (tmp_path / name).symlink_to(shared / "models" / name)
    pack = load_folder(tmp_path)
    assert pack.models[Role.DETECTION].path.name == "det_500m.onnx"
    assert "InsightFace" in pack.models[Role.DETECTION].licence
    assert pack.models[Role.RECOGNITION].normalization == ARCFACE_NORMALIZATION


def test_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").touch()
    for path in (tmp_path / "a.onnx", tmp_path / "absent"):
        with pytest.raises(PackError, match="is not a folder"):
            load_folder(path)
