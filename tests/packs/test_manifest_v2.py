"""manifest.json of version 2: what InsightFace 2.x may write, and what it may not."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from face_service.errors import PackError
from face_service.packs.entries import Role
from face_service.packs.local import load_folder
from tests import raccoon

DETECTION, VERIFICATION = {"file": "det.onnx"}, {"file": "ver.onnx"}
RECOGNITION = {"file": "rec.onnx"}


@pytest.fixture
def folder(tmp_path: Path, make: Any) -> Path:
    """A detector, a verifier and a recogniser, as small as they can be."""
    (folder := tmp_path / "mine").mkdir()
    (folder / "det.onnx").write_bytes(make.detector())
    (folder / "rec.onnx").write_bytes(make.network(112, 512))
    raccoon.verifier(folder / "ver.onnx", 64, TensorProto.UINT8)
    return folder


def write(folder: Path, tasks: dict[str, Any] | None = None, **fields: Any) -> None:
    """A manifest with these three tasks, of which `tasks` replaces some; None takes one away."""
    every = {"detection": DETECTION, "verification": VERIFICATION, "recognition": RECOGNITION}
    content = {
        "manifest_version": 2,
        "model_id": "mine",
        "license": "MODEL.LICENSE",
        "tasks": {name: task for name, task in (every | (tasks or {})).items() if task is not None},
    }
    content |= fields
    kept = {name: value for name, value in content.items() if value is not None}
    (folder / "manifest.json").write_text(json.dumps(kept))


def test_defaults_are_those_of_insightface(folder: Path) -> None:
    write(folder)
    models = load_folder(folder).models
    scaled = {
        role: (one.normalization.mean[0], one.normalization.std) for role, one in models.items()
    }
    assert scaled == {
        Role.DETECTION: (127.5, 128.0),
        Role.VERIFICATION: (0.0, 1.0),
        Role.RECOGNITION: (127.5, 127.5),
    }
    assert models[Role.VERIFICATION].expansion == 1.3
    assert models[Role.DETECTION].expansion is None


def test_the_verifier_may_be_missing(folder: Path) -> None:
    write(folder, {"verification": None})
    assert set(load_folder(folder).models) == {Role.DETECTION, Role.RECOGNITION}


def test_the_bodies_of_cheetah_are_passed_over(folder: Path) -> None:
    """insightface 2.1 has two more tasks in cheetah_s and cheetah_l, for its PersonAnalysis."""
    bodies = {
        "person_detection": {"file": "person.onnx", "input_size": [320, 320], "preprocessing": {}},
        "person_reid": {"file": "reid.onnx", "preprocessing": {"std": [1, 2, 3], "scale": 1}},
    }
    write(folder, bodies | {"verification": None})
    assert set(load_folder(folder).models) == {Role.DETECTION, Role.RECOGNITION}


def test_no_verifier_is_guessed_without_a_manifest(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """InsightFace's liveness network, [n, 3, 80, 80] to [n], looks like one."""
    raccoon.verifier(folder / "liveness.onnx", 80, TensorProto.FLOAT)
    with caplog.at_level(logging.WARNING):
        assert set(load_folder(folder).models) == {Role.DETECTION, Role.RECOGNITION}
    for name in ("liveness.onnx", "ver.onnx"):
        assert f"{name} is not used: one number for each square" in caplog.text


def test_our_own_manifest_has_verifiers_too(folder: Path) -> None:
    models = [
        {"file": "det.onnx", "role": "detection"},
        {"file": "rec.onnx", "role": "recognition"},
        {"file": "ver.onnx", "role": "verification", "expansion": 1.5},
    ]
    (folder / "manifest.json").write_text(json.dumps({"models": models}))
    assert load_folder(folder).models[Role.VERIFICATION].expansion == 1.5
    models[1]["expansion"] = 1.5
    (folder / "manifest.json").write_text(json.dumps({"models": models}))
    with pytest.raises(PackError, match="expansion is of a verification network alone"):
        load_folder(folder)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no detection": ({"tasks": {"detection": None}}, "no task detection"),
    "no recognition": ({"tasks": {"recognition": None}}, "no task recognition"),
    "no licence": ({"license": None}, "license: Field required"),
    "no model id": ({"model_id": None}, "model_id: Field required"),
    "a model id that is a path": ({"model_id": "../mine"}, "model_id: .*pattern"),
    "tasks that are a list": ({"tasks": None}, "tasks: Field required"),
    "a task that is none": ({"tasks": {"detection": "det.onnx"}}, r"tasks\.detection: .*object"),
    "no file": ({"tasks": {"verification": {}}}, r"tasks\.verification\.file: Field required"),
    "a file outside": (
        {"tasks": {"detection": {"file": "../det.onnx"}}}, r"tasks\.detection\.file: .*below",
    ),
    "an absolute file": ({"tasks": {"detection": {"file": "/det.onnx"}}}, "below this folder"),
    "a file on a drive": ({"tasks": {"detection": {"file": "C:det.onnx"}}}, "below this folder"),
    "a file that is no network": ({"tasks": {"detection": {"file": "det.pb"}}}, "ends in .onnx"),
    "a file that is not there": (
        {"tasks": {"detection": {"file": "other.onnx"}}}, "other.onnx cannot be read",
    ),
    "a hash that is none": (
        {"tasks": {"detection": DETECTION | {"sha256": "A" * 64}}}, "sha256: .*pattern",
    ),
    "another hash": (
        {"tasks": {"detection": DETECTION | {"sha256": "a" * 64}}}, "SHA-256 .* was expected",
    ),
    "half of the preprocessing": (
        {"tasks": {"detection": DETECTION | {"preprocessing": {"mean": 1.0}}}},
        "preprocessing.*std",
    ),
    "more than the preprocessing": (
        {"tasks": {"detection": DETECTION | {"preprocessing": {"mean": 1, "std": 1, "x": 1}}}},
        "preprocessing",
    ),
    "a mean for each channel": (
        {"tasks": {"detection": DETECTION | {"preprocessing": {"mean": [1, 2, 3], "std": 1}}}},
        r"wrong: tasks\.detection\.preprocessing: Input should be 'embedded'; "
        r"tasks\.detection\.preprocessing\.mean: Input should be a valid number\.",
    ),
    "a preprocessing nobody knows": (
        {"tasks": {"detection": DETECTION | {"preprocessing": "auto"}}}, "preprocessing",
    ),
    "a standard deviation of nought": (
        {"tasks": {"detection": DETECTION | {"preprocessing": {"mean": 0, "std": 0}}}},
        "greater than 0",
    ),
    "a scale for whole numbers": (
        {"tasks": {"verification": VERIFICATION | {"preprocessing": {"mean": 1, "std": 1}}}},
        "must be embedded",
    ),
    "an empty licence": ({"license": " "}, "license: .*ends in MODEL.LICENSE"),
    "a licence elsewhere": ({"license": "../MODEL.LICENSE"}, "license: .*below this folder"),
    "null for a hash": (
        {"tasks": {"detection": DETECTION | {"sha256": None}}},
        r"tasks\.detection: .*sha256 is null: give it a value, or leave it out",
    ),
    "no expansion": (
        {"tasks": {"verification": VERIFICATION | {"expansion": 0}}}, "expansion: .*greater than 0",
    ),
    "another dimension": (
        {"tasks": {"recognition": RECOGNITION | {"embedding_dimension": 256}}},
        "embeddings of 512, its manifest says 256",
    ),
    "faces of another size": (
        {"tasks": {"recognition": RECOGNITION | {"input_size": [128, 128]}}},
        r"tasks\.recognition\.input_size.*should be 112",
    ),
    "a recogniser for a verifier": (
        {"tasks": {"verification": RECOGNITION}},
        r"rec\.onnx cannot be the verification network: .*without a second axis",
    ),
    "networks that change places": (
        {"tasks": {"recognition": VERIFICATION, "verification": RECOGNITION}},
        "cannot be the verification network",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name: str, folder: Path) -> None:
    fields, message = WRONG[name]
    if fields.get("tasks", {}) is None:
        write(folder)
        content = json.loads((folder / "manifest.json").read_text())
        del content["tasks"]
        (folder / "manifest.json").write_text(json.dumps(content))
    else:
        write(folder, **fields)
    with pytest.raises(PackError, match=message) as raised:
        load_folder(folder)
    assert "mine" in str(raised.value)


def test_a_task_that_is_null_is_not_taken_for_one_that_is_absent(folder: Path) -> None:
    write(folder)
    content = json.loads((folder / "manifest.json").read_text())
    content["tasks"]["verification"] = None
    (folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(PackError, match=r"tasks: .*verification is null"):
        load_folder(folder)


@pytest.mark.parametrize("length", [128, 256])
def test_how_long_an_embedding_is_need_not_be_said(folder: Path, make: Any, length: int) -> None:
    """512 is what insightface takes where neither manifest nor network says it."""
    (folder / "rec.onnx").write_bytes(make.network(112, length))
    write(folder)
    assert load_folder(folder).dimension == length
    recogniser = make.onnx({"data": ("n", 3, 112, 112)}, {"fc1": ("n", "length")})
    (folder / "rec.onnx").write_bytes(recogniser)
    assert load_folder(folder).dimension == 512


def test_what_editors_on_windows_write_is_read_or_named(folder: Path) -> None:
    """A byte order mark is passed over, UTF-16 is not."""
    write(folder)
    path = folder / "manifest.json"
    text = path.read_text()
    path.write_text(text, encoding="utf-8-sig")
    assert len(load_folder(folder).models) == 3
    path.write_text(text, encoding="utf-16")
    with pytest.raises(PackError, match=r"manifest\.json is not UTF-8 .*: save it as UTF-8"):
        load_folder(folder)


def test_a_manifest_that_is_nested_without_end_is_wrong(folder: Path) -> None:
    (folder / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(PackError, match=r"manifest\.json is wrong: .*JSON"):
        load_folder(folder)


def test_names_are_read_without_the_space_around_them_as_insightface_does(folder: Path) -> None:
    write(folder, {"detection": {"file": " det.onnx "}}, model_id=" mine\n")
    pack = load_folder(folder)
    assert (pack.name, pack.models[Role.DETECTION].path.name) == ("mine", "det.onnx")


def test_a_link_does_not_lead_out_of_the_folder(folder: Path) -> None:
    (folder / "det.onnx").rename(folder.parent / "det.onnx")
    (folder / "det.onnx").symlink_to(folder.parent / "det.onnx")
    write(folder)
    with pytest.raises(PackError, match="leads out of its folder"):
        load_folder(folder)


def test_another_version_is_read_by_its_shapes_as_insightface_does(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(folder, manifest_version=1)
    with caplog.at_level(logging.WARNING):
        assert set(load_folder(folder).models) == {Role.DETECTION, Role.RECOGNITION}
    assert "version 1 is not known" in caplog.text
    (folder / "rec.onnx").unlink()
    with pytest.raises(PackError, match=r"(?s)no recognition network.*version 1 is not known"):
        load_folder(folder)


@pytest.mark.parametrize("version", ["2", True, 2.5])
def test_what_states_no_version_is_ours_and_has_no_unknown_fields(
    folder: Path, version: object
) -> None:
    write(folder, manifest_version=version)
    with pytest.raises(PackError, match=r"manifest_version: Extra inputs are not permitted"):
        load_folder(folder)
