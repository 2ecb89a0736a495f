"""Pixels in place of floats: the same numbers, made by the network itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from face_service.packs.entries import Role
from face_service.packs.pack import Pack
from face_service.runtime import compiling, rewriting
from face_service.runtime.compiling import as_json, compile_here
from face_service.runtime.graph import read_input
from face_service.runtime.pixel_input import Normalization
from face_service.runtime.plans import NetworkSpec, plan_network
from face_service.runtime.providers import CPU, PROVIDERS, RuntimeConfig
from face_service.runtime.rewriting import Edits, rewritten
from face_service.vision.blob import (
    AGE_AND_GENDER_NORMALIZATION,
    ARCFACE_NORMALIZATION,
    EMBEDDED_NORMALIZATION,
    SCRFD_NORMALIZATION,
    to_blob,
)

from .conftest import CUDA, MIGRAPHX, TENSORRT, Load, Ort

NORMALIZATIONS = {
    "scrfd": SCRFD_NORMALIZATION,
    "arcface": ARCFACE_NORMALIZATION,
    "embedded": EMBEDDED_NORMALIZATION,
    "attributes": Normalization((127.5, 127.5, 127.5), 128.0),
    "age and gender": AGE_AND_GENDER_NORMALIZATION,
    "bgr": Normalization((127.0, 127.0, 127.0), 128.0, order="bgr"),
    "odd": Normalization((123.675, 116.28, 103.53), 57.12, order="bgr"),
}


def run(network: Path | bytes, blob: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(network, options, providers=[CPU])
    return session.run(None, {session.get_inputs()[0].name: blob})


def every_pixel() -> list[np.ndarray]:
    """Two images in which every channel has all 256 values."""
    values = np.arange(256, dtype=np.uint8)
    image = np.stack([values, np.roll(values, 7), values[::-1]], -1).reshape(8, 32, 3)
    return [image, np.ascontiguousarray(image[::-1])]


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_every_value_is_the_float_of_opencv_to_the_bit(name: str, tmp_path: Path) -> None:
    passing = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, None, None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)],
    )
    path = tmp_path / "g.onnx"
    opset = [helper.make_opsetid("", 11)]
    onnx.save(helper.make_model(passing, opset_imports=opset, ir_version=6), path)
    images, normalization = every_pixel(), NORMALIZATIONS[name]
    network = rewritten(path, Edits(normalization=normalization))
    onnx.checker.check_model(onnx.load_from_string(network))
    (floats,) = run(network, to_blob(images, None))
    np.testing.assert_array_equal(floats, to_blob(images, normalization))


@pytest.mark.parametrize(
    ("file", "normalization", "size"),
    [
        ("models/det_500m.onnx", SCRFD_NORMALIZATION, (96, 160)),
        ("models/det_2.5g.onnx", SCRFD_NORMALIZATION, (96, 160)),
        ("models/edgeface_xs.onnx", ARCFACE_NORMALIZATION, (112, 112)),
        ("genderage.onnx", EMBEDDED_NORMALIZATION, (96, 96)),
    ],
)
def test_a_network_answers_the_same(
    file: str, normalization: Normalization, size: tuple[int, int], shared: Path, standin: Path
) -> None:
    path = (shared if "/" in file else standin) / file
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    network = rewritten(path, Edits(normalization=normalization))
    answers = run(network, to_blob([image], None))
    expected = run(path, to_blob([image], normalization))
    for answer, right in zip(answers, expected, strict=True):
        np.testing.assert_allclose(answer, right, rtol=0, atol=1e-5)


@pytest.mark.parametrize("role", [Role.DETECTION, Role.RECOGNITION, Role.AGE, Role.GENDER])
def test_the_starter_pack_answers_the_same(role: Role, starter: Pack) -> None:
    model = starter.models[role]
    _, _, height, width = read_input(model.path).shape or ()
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    network = rewritten(model.path, Edits(normalization=model.normalization))
    expected = run(model.path, to_blob([image], model.normalization))
    for answer, right in zip(run(network, to_blob([image], None)), expected, strict=True):
        np.testing.assert_allclose(answer, right, rtol=0, atol=1e-5)


def test_another_normalization_or_edition_is_another_program(
    load: Load, ort: Ort, age: NetworkSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folder(normalization: Normalization | None) -> str:
        load(TENSORRT, task=NetworkSpec(age.path, age.sha256, normalization=normalization))
        return ort.options(TENSORRT)[-1]["trt_engine_cache_path"]

    known = {folder(None), folder(SCRFD_NORMALIZATION), folder(ARCFACE_NORMALIZATION)}
    assert len(known) == 3
    assert folder(SCRFD_NORMALIZATION) in known
    monkeypatch.setattr("face_service.runtime.programs.EDITION", rewriting.EDITION + 1)
    assert folder(SCRFD_NORMALIZATION) not in known
    assert folder(None) in known


def test_what_is_loaded_takes_pixels(
    age: NetworkSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On CUDA one graph for all batches, on MIGraphX one for each, of no free axis."""
    seen: dict[str, list[Any]] = {}
    spec = NetworkSpec(age.path, age.sha256, normalization=AGE_AND_GENDER_NORMALIZATION)
    for provider in (CUDA, MIGRAPHX):
        plan = plan_network(spec, PROVIDERS[provider], RuntimeConfig(cache=tmp_path))
        for session in plan.sessions:
            assert session.program.dtype == "uint8"
            with session.file() as path:
                (graph_input,) = onnx.load(path).graph.input
                assert graph_input.type.tensor_type.elem_type == TensorProto.UINT8
                seen.setdefault(provider, []).append((path.name, read_input(path).shape))
    assert seen == {
        CUDA: [("age-v1.onnx", (None, 64, 64, 3))],
        MIGRAPHX: [(f"age-v1-{n}x64x64x3.onnx", (n, 64, 64, 3)) for n in (1, 2, 4, 8)],
    }


def test_the_child_compiles_for_pixels(
    age: NetworkSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = NetworkSpec(age.path, age.sha256, normalization=AGE_AND_GENDER_NORMALIZATION)
    config = RuntimeConfig(cache=tmp_path)
    session = plan_network(spec, PROVIDERS[MIGRAPHX], config).sessions[1]
    shown = []
    real = compiling.open_session

    def opened(*arguments: Any) -> Any:
        made = real(*arguments)
        answer = made.session.run

        class Noting:
            def run(self, _: None, feed: dict[str, np.ndarray]) -> Any:
                shown.extend((blob.shape, blob.dtype) for blob in feed.values())
                return answer(None, feed)

        made.session = Noting()
        return made

    monkeypatch.setattr(compiling, "open_session", opened)
    with session.file() as path:
        compile_here(as_json(path, session, (CPU,), config))
    assert shown == [((2, 64, 64, 3), np.uint8)]
