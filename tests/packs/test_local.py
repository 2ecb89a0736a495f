"""A folder of ONNX files as a pack."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from face_service.errors import PackError
from face_service.packs.catalog import AGE_AND_GENDER_NORMALIZATION, Role
from face_service.packs.local import UNKNOWN_LICENCE, load_folder
from face_service.packs.pack import Pack, sha256_of
from face_service.thresholds import Threshold
from face_service.vision.blob import (
    ARCFACE_NORMALIZATION,
    EMBEDDED_NORMALIZATION,
    SCRFD_NORMALIZATION,
    Normalization,
)


@pytest.fixture
def folder(tmp_path: Path, make: Any) -> Path:
    """A detector and a recogniser, as small as they can be."""
    (folder := tmp_path / "mine").mkdir()
    (folder / "det.onnx").write_bytes(make.detector())
    (folder / "rec.onnx").write_bytes(make.network(112, 512))
    return folder


def write_manifest(folder: Path, **fields: Any) -> None:
    models = [
        {"file": "det.onnx", "role": "detection"},
        {"file": "rec.onnx", "role": "recognition"},
    ]
    (folder / "manifest.json").write_text(json.dumps({"models": models} | fields))


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


def test_manifest_says_it_all(folder: Path, make: Any) -> None:
    (folder / "another.onnx").write_bytes(make.network(112, 256))
    write_manifest(
        folder,
        name="ours",
        licence="ours alone",
        dimension=512,
        threshold={
            "similarity": 0.3,
            "measured_on": "our own pairs",
            "false_match_rate": 0.002,
        },
        models=[
            {"file": "det.onnx", "role": "detection"},
            {
                "file": "rec.onnx",
                "role": "recognition",
                "sha256": sha256_of(folder / "rec.onnx"),
                "mean": 127,
                "std": 128,
                "order": "bgr",
            },
        ],
    )
    pack = load_folder(folder)
    assert (pack.name, pack.licence, pack.dimension) == ("ours", "ours alone", 512)
    assert pack.threshold == Threshold(0.3, "our own pairs", 0.002)
    assert set(pack.models) == {Role.DETECTION, Role.RECOGNITION}
    assert pack.models[Role.RECOGNITION].path == folder / "rec.onnx"
    assert pack.models[Role.RECOGNITION].normalization == Normalization(
        (127.0, 127.0, 127.0), 128.0, "bgr"
    )
    assert pack.models[Role.DETECTION].normalization == SCRFD_NORMALIZATION


def test_manifest_settles_which_of_two_networks_is_used(folder: Path, make: Any) -> None:
    (folder / "rec2.onnx").write_bytes(make.network(112, 256))
    write_manifest(folder)
    assert load_folder(folder).dimension == 512


@pytest.mark.parametrize("file", ["../rec.onnx", "/etc/rec.onnx", "a/rec.onnx", "..\\r.onnx", ""])
def test_manifest_cannot_lead_out_of_the_folder(folder: Path, file: str) -> None:
    write_manifest(folder, models=[{"file": file, "role": "recognition"}])
    with pytest.raises(PackError, match=r"manifest\.json is wrong: models\.0\.file"):
        load_folder(folder)


DETECTOR = {"file": "det.onnx", "role": "detection"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"nmae": "x"}, "nmae: Extra inputs"),
        ({"models": []}, "models: "),
        ({"models": [DETECTOR | {"role": "faces"}]}, "models.0.role"),
        ({"models": [DETECTOR | {"mean": 1}]}, "mean and std are given together"),
        ({"models": [DETECTOR | {"mean": 1, "std": 0}]}, "models.0.std"),
        ({"models": [DETECTOR, DETECTOR]}, "two networks for detection: det.onnx and det.onnx"),
        ({"threshold": {"similarity": 2, "measured_on": ""}}, "threshold.similarity"),
        (
            {"threshold": {"similarity": 0, "measured_on": "", "false_match_rate": 2}},
            "threshold.false_match_rate",
        ),
        ({"dimension": 256}, "embeddings of 512, its manifest says 256"),
        ({"models": [DETECTOR | {"sha256": "0" * 64}]}, "0" * 64),
        ({"models": [DETECTOR]}, "holds no recognition network"),
        ({"models": [{"file": "det.onnx", "role": "age"}]}, "det.onnx cannot be the age network"),
        ({"models": [{"file": "no.onnx", "role": "age"}]}, "no.onnx cannot be read"),
    ],
)
def test_wrong_manifest(folder: Path, fields: dict[str, Any], reason: str) -> None:
    write_manifest(folder, **fields)
    with pytest.raises(PackError) as caught:
        load_folder(folder)
    assert reason in str(caught.value)


def test_manifest_that_is_not_json(folder: Path) -> None:
    (folder / "manifest.json").write_text("name: x")
    with pytest.raises(PackError, match=r"manifest\.json is wrong: manifest\.json: Invalid JSON"):
        load_folder(folder)


def test_open_shapes_take_the_role_and_dimension_of_the_manifest(folder: Path, make: Any) -> None:
    open_shapes = make.onnx({"x": ("n", 3, "h", "w")}, {"y": ("n", "d")})
    (folder / "rec.onnx").write_bytes(open_shapes)
    with pytest.raises(PackError, match=r"(?s)no recognition.*rec\.onnx: .*more than one"):
        load_folder(folder)
    write_manifest(folder)
    with pytest.raises(PackError, match="does not say how long its embeddings are"):
        load_folder(folder)
    write_manifest(folder, dimension=512)
    assert load_folder(folder).dimension == 512


def test_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").touch()
    for path in (tmp_path / "a.onnx", tmp_path / "absent"):
        with pytest.raises(PackError, match="is not a folder"):
            load_folder(path)


IMAGE = {"images": (1, 3, 640, 640)}
FACE = {"x": (None, 3, 112, 112)}
BROUGHT: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "SCRFD without landmarks": (
        IMAGE, {f"o{n}": (None, axis) for n, axis in enumerate((1, 1, 1, 4, 4, 4))},
        "6 outputs: a detector without landmarks cannot align faces",
    ),
    "SCRFD of five strides": (
        IMAGE, {f"o{n}": (None, axis) for n, axis in enumerate((1,) * 5 + (4,) * 5 + (10,) * 5)},
        "15 outputs: SCRFD of five strides is not decoded here",
    ),
    "YOLOv5-face": (IMAGE, {"o": (1, 25200, 16)}, "YOLOv5-face is not decoded here; take an SCRFD"),
    "YOLOv7-face": (IMAGE, {"o": (1, 25200, 21)}, "YOLOv7-face is not decoded here"),
    "YOLOv8-face": (IMAGE, {"o": (1, 20, 8400)}, "YOLOv8-face is not decoded here"),
    "YOLOv8-face of any size": (
        {"images": (None, 3, None, None)}, {"o": (None, 20, None)},
        "YOLOv8-face is not decoded here",
    ),
    "its heads": (
        IMAGE, {f"o{n}": (1, 80, side, side) for n, side in enumerate((80, 40, 20))},
        "YOLO-face, the heads of three strides",
    ),
    "YOLO without landmarks": (IMAGE, {"o": (1, 5, 8400)}, "YOLO with boxes alone: a detector"),
    "RetinaFace": (
        IMAGE, {"loc": (1, 16800, 4), "conf": (1, 16800, 2), "landms": (1, 16800, 10)},
        "RetinaFace is not decoded here",
    ),
    "UltraFace": (
        {"input": (1, 3, 240, 320)}, {"scores": (1, 4420, 2), "boxes": (1, 4420, 4)},
        "boxes and scores alone: a detector without landmarks",
    ),
    "FaceNet": ({"x": (None, 160, 160, 3)}, {"e": (None, 512)}, "its channels come last"),
    "FaceNet, channels first": (
        {"x": (1, 3, 160, 160)}, {"e": (1, 512)}, "a recogniser of 160×160 pixels",
    ),
    "112 by 96": ({"x": (1, 3, 112, 96)}, {"e": (1, 256)}, "a recogniser of 96×112 pixels"),
    "a short embedding": (FACE, {"e": (None, 64)}, "64 numbers for a face"),
    "inswapper": (
        {"target": (1, 3, 128, 128), "source": (1, 512)}, {"output": (1, 3, 128, 128)},
        "two inputs: a network that exchanges faces",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROUGHT)
def test_what_people_bring_is_refused_by_its_name(name: str, folder: Path, make: Any) -> None:
    """Left aside in a folder that lacks what it was brought for; an error where a manifest lists
    it."""
    inputs, outputs, why = BROUGHT[name]
    missing = "rec.onnx" if next(iter(outputs)) == "e" else "det.onnx"
    (folder / missing).write_bytes(make.onnx(inputs, outputs))
    role = {"det.onnx": "detection", "rec.onnx": "recognition"}[missing]
    with pytest.raises(PackError, match=f"(?s)no {role} network.*{missing}: {why}"):
        load_folder(folder)
    write_manifest(folder)
    with pytest.raises(PackError, match=f"(?s)cannot be the {role} network: .*{why}"):
        load_folder(folder)


@pytest.mark.parametrize("length", [128, 256, 512])
@pytest.mark.parametrize("sides", [(112, 112), (None, None), ("h", "w")])
def test_recognisers_of_other_lengths_and_free_sides_are_recognised(
    length: int, sides: tuple[Any, Any], folder: Path, make: Any
) -> None:
    recogniser = make.onnx({"x": ("n", 3, *sides)}, {"e": ("n", length)})
    (folder / "rec.onnx").write_bytes(recogniser)
    assert load_folder(folder).dimension == length
