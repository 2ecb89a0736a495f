"""Quantising packs of version 2: verifiers, and networks that take uint8."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from face_service.packs.entries import Role
from face_service.packs.manifest import read_manifest
from face_service.packs.pack import Pack, PackModel, sha256_of
from face_service.tools.quantization.network import quantize_network
from face_service.tools.quantization.pack import file_name, write_manifest
from face_service.vision.blob import EMBEDDED_NORMALIZATION
from tests import raccoon


def model_of(role: Role, path: Path) -> PackModel:
    expansion = 1.6 if role is Role.VERIFICATION else None
    return PackModel(role, path, sha256_of(path), EMBEDDED_NORMALIZATION, "", expansion)


def test_networks_of_one_name_in_two_folders_keep_apart(starter: Pack, tmp_path: Path) -> None:
    models = {}
    for role in (Role.DETECTION, Role.VERIFICATION):
        (folder := tmp_path / role).mkdir()
        models[role] = model_of(role, raccoon.verifier(folder / "m.onnx", 64, TensorProto.FLOAT))
    pack = replace(starter, models=models)
    names = [file_name(pack, model) for model in models.values()]
    assert names == ["detection.onnx", "verification.onnx"]
    one = replace(pack, models={Role.DETECTION: models[Role.DETECTION]})
    assert file_name(one, models[Role.DETECTION]) == "m.onnx"


def test_the_squares_of_a_verifier_stay_what_they_were(starter: Pack, tmp_path: Path) -> None:
    path = raccoon.verifier(tmp_path / "verifier.onnx", 64, TensorProto.UINT8)
    model = model_of(Role.VERIFICATION, path)
    write_manifest(replace(starter, models={model.role: model}), "mine", tmp_path, None)
    manifest = read_manifest(tmp_path)
    assert manifest and [entry.expansion for entry in manifest.models] == [1.6]


@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.FLOAT])
def test_a_network_that_takes_pixels_is_calibrated_with_pixels(kind: int, tmp_path: Path) -> None:
    source = raccoon.verifier(tmp_path / "fp32.onnx", 64, kind)
    random = np.random.default_rng(0)
    samples = [random.integers(0, 256, (1, 3, 64, 64)).astype(np.float32) for _ in range(4)]
    quantize_network(source, tmp_path / "int8.onnx", samples, ("Conv",))
    given = samples[0].astype(np.uint8 if kind == TensorProto.UINT8 else np.float32)
    whole, small = (
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(
            None, {"x": given}
        )[0]
        for path in (source, tmp_path / "int8.onnx")
    )
    assert np.abs(whole - small).max() < 0.1
    assert (tmp_path / "int8.onnx").read_bytes() != source.read_bytes()


def test_sizes_that_a_file_states_wrongly_are_no_noise(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """InsightFace's detectors state the sizes of one canvas; each is calibrated on several."""
    source = raccoon.verifier(tmp_path / "fp32.onnx", 64, TensorProto.FLOAT)
    model = onnx.load(source)
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 5
    onnx.save(model, source)
    onnxruntime.set_default_logger_severity(2)
    samples = [np.full((rows, 3, 64, 64), 9, np.float32) for rows in (1, 2)]
    quantize_network(source, tmp_path / "int8.onnx", samples, ("Conv",))
    assert "VerifyOutputSizes" not in capfd.readouterr().err
