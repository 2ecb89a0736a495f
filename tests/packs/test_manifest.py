"""A folder of ONNX files whose manifest says what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from face_service.errors import PackError
from face_service.packs.entries import Role
from face_service.packs.local import load_folder
from face_service.packs.pack import sha256_of
from face_service.thresholds import Threshold
from face_service.vision.blob import (
    SCRFD_NORMALIZATION,
    Normalization,
)
from tests.packs.manifests import write_manifest


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
