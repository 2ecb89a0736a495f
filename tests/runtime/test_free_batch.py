"""Several images in one run: no image depends on another, and no graph is taken for one of that
kind that is not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from face_service.packs.entries import Role
from face_service.packs.pack import Pack
from face_service.runtime.half import half_precision
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.runtime.rewriting import Edits, rewritten, why_not_batched

from .conftest import CUDA, MIGRAPHX, Load, Ort

BATCHED = Edits(free_batch=True)
ROUNDING = 1e-5
"""What a kernel that sums in another order may move: values are about 10 at most."""


def session(network: Path | bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(network, options, providers=[CPU])


def run(opened: Any, blob: np.ndarray) -> list[np.ndarray]:
    return opened.run(None, {opened.get_inputs()[0].name: blob})


def without_idle_part(path: Path, target: Path) -> Path:
    """The stand-in for det_10g without its idle part, which takes a mean over everything."""
    model = onnx.load(path)
    (join,) = (node for node in model.graph.node if node.name == "idle_join")
    kept = [node for node in model.graph.node if not node.name.startswith("idle_")]
    kept.append(helper.make_node("Identity", join.input[:1], join.output))
    del model.graph.node[:]
    model.graph.node.extend(kept)
    onnx.save(model, target)
    return target


@pytest.fixture(params=["det_500m", "det_2.5g", "det_10g", "starter", "open", "fp16"])
def exported(
    request: pytest.FixtureRequest, shared: Path, starter: Pack, tmp_path: Path
) -> tuple[Path, tuple[int, int]]:
    """A detector for one image, and height and width of its input."""
    if request.param == "starter":
        return starter.models[Role.DETECTION].path, (640, 640)
    if request.param == "open":
        pack: Pack = request.getfixturevalue("open_pack")
        return pack.models[Role.DETECTION].path, (640, 640)
    if request.param == "det_10g":
        standin: Path = request.getfixturevalue("standin")
        return without_idle_part(standin / "det_10g.onnx", tmp_path / "det_10g.onnx"), (96, 160)
    if request.param == "fp16":
        path = shared / "models" / "det_500m.onnx"
        return half_precision(path, "0" * 64, RuntimeConfig(cache=tmp_path)), (96, 160)
    return shared / "models" / f"{request.param}.onnx", (96, 160)


def test_no_image_of_a_run_depends_on_another(exported: tuple[Path, tuple[int, int]]) -> None:
    """Its answer is the one it has alone, wherever it stands and whatever stands beside it, and be
    that no number at all."""
    path, size = exported
    network = rewritten(path, BATCHED)
    onnx.checker.check_model(onnx.load_from_string(network))
    one, several = session(path), session(network)
    frames = np.random.default_rng(0).standard_normal((3, 3, *size)).astype(np.float32)
    expected = [run(one, frame[None]) for frame in frames]
    together = run(several, frames)
    assert [output.shape[0] for output in together] == [3] * (12 if "yunet" in path.name else 9)
    for row, alone in enumerate(expected):
        for output, right in zip(together, alone, strict=True):
            assert output[row].shape == right.reshape(output[row].shape).shape
            np.testing.assert_allclose(
                output[row], right.reshape(output[row].shape), rtol=0, atol=ROUNDING
            )
    order = [2, 0, 1]
    for output, turned in zip(together, run(several, frames[order]), strict=True):
        np.testing.assert_array_equal(turned, output[order])
    beside = np.full_like(frames, np.nan)
    beside[1] = frames[1]
    for output, spoilt in zip(together, run(several, beside), strict=True):
        np.testing.assert_array_equal(spoilt[1], output[1])


def test_a_recogniser_for_one_face_takes_several(starter: Pack) -> None:
    path = starter.models[Role.RECOGNITION].path
    crops = np.random.default_rng(0).standard_normal((3, 3, 112, 112)).astype(np.float32)
    (together,) = run(session(rewritten(path, BATCHED)), crops)
    one = session(path)
    alone = np.concatenate([run(one, crop[None])[0] for crop in crops])
    np.testing.assert_allclose(together, alone, rtol=0, atol=ROUNDING)


def test_names_decide_nothing(shared: Path, tmp_path: Path) -> None:
    model = onnx.load(shared / "models" / "det_500m.onnx")
    names: dict[str, str] = {}
    for values in (model.graph.initializer, model.graph.input, model.graph.output):
        for value in values:
            value.name = names.setdefault(value.name, f"v{len(names)}")
    for node in model.graph.node:
        node.name = ""
        for ends in (node.input, node.output):
            ends[:] = [name and names.setdefault(name, f"v{len(names)}") for name in ends]
    path = tmp_path / "anything.onnx"
    onnx.save(model, path)
    assert why_not_batched(path) is None


def test_the_stand_in_takes_a_mean_over_all_images_and_is_left_alone(standin: Path) -> None:
    assert "(ReduceMean) may mix several" in (why_not_batched(standin / "det_10g.onnx") or "")


def graph(
    nodes: Sequence[Any], path: Path, output: str = "y", axes: int = 4, **weights: Any
) -> Path:
    """A network of `nodes` with the input x, [1, 4, 8, 8]."""
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * axes)],
        [numpy_helper.from_array(np.array(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def node(operator: str, *inputs: str, to: str = "y", **attributes: Any) -> Any:
    return helper.make_node(operator, list(inputs), [to], **attributes)


HEAD = (node("Transpose", "x", to="t", perm=[2, 3, 0, 1]), node("Reshape", "t", "s", to="h"))
FLAT = np.array([-1, 4], np.int64)
MIXED: dict[str, tuple[list[Any], int, dict[str, Any]]] = {
    "a sum over all": ([node("ReduceSum", "x", keepdims=1)], 4, {}),
    "rows become channels": ([node("Reshape", "x", "s")], 2, {"s": np.array([-1, 512])}),
    "rows are flattened without being turned": ([node("Reshape", "x", "s")], 2, {"s": FLAT}),
    "turned another way": (
        [node("Transpose", "x", to="t", perm=[2, 3, 1, 0]), node("Reshape", "t", "s")], 2,
        {"s": FLAT},
    ),
    "turned and not flattened": ([node("Transpose", "x", perm=[2, 3, 0, 1])], 4, {}),
    "turned and flattened otherwise": (
        [HEAD[0], node("Reshape", "t", "s")], 2, {"s": np.array([8, -1])},
    ),
    "turned and used once more": (
        [*HEAD, node("Relu", "t", to="r"), node("Reshape", "r", "s")], 2, {"s": FLAT},
    ),
    "a softmax over what was flattened": ([*HEAD, node("Softmax", "h", axis=0)], 2, {"s": FLAT}),
    "a constant for every anchor": (
        [*HEAD, node("Add", "h", "c")], 2, {"s": FLAT, "c": np.ones((64, 4), np.float32)},
    ),
    "a constant for two images": (
        [node("Add", "x", "c")], 4, {"c": np.ones((2, 4, 8, 8), np.float32)},
    ),
    "a constant with one axis more": (
        [node("Add", "x", "c")], 5, {"c": np.ones((1, 1, 4, 8, 8), np.float32)},
    ),
    "images side by side": ([node("Concat", "x", "x", axis=0)], 4, {}),
    "counted from the end": ([node("Concat", "x", "x", axis=-4)], 4, {}),
    "the number of images": (
        [node("Shape", "x", to="t"), node("Gather", "t", "i", to="n"),
         node("Concat", "n", "n", to="u", axis=0), helper.make_node("Cast", ["u"], ["y"], to=1)],
        1, {"i": np.array([0])},
    ),
    "a size that is the number of images": (
        [node("Shape", "x", to="t"), node("Slice", "t", "a", "b", to="u"),
         node("Gather", "t", "i", to="n"), node("Concat", "u", "n", to="z", axis=0),
         node("Resize", "x", "", "", "z", mode="nearest")],
        4, {"a": np.array([0]), "b": np.array([3]), "i": np.array([0])},
    ),
    "a window over the images": (
        [node("Slice", "x", "a", "b", "a")], 4, {"a": np.array([0]), "b": np.array([1])},
    ),
    "sizes for two images": (
        [node("Resize", "x", "", "", "z", mode="nearest")], 4, {"z": np.array([2, 4, 16, 16])},
    ),
    "factors for two images": (
        [node("Resize", "x", "", "z", mode="nearest")], 4,
        {"z": np.array([2, 1, 2, 2], np.float32)},
    ),
    "a constant output": ([node("Constant", value_float=1.0)], 0, {}),
    "an operator nobody knows": ([node("Einsum", "x", equation="nchw->cnhw")], 4, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXED)
def test_what_may_mix_images_is_left_alone(name: str, tmp_path: Path) -> None:
    nodes, axes, weights = MIXED[name]
    path = graph(nodes, tmp_path / "g.onnx", axes=axes, **weights)
    assert why_not_batched(path)
    with pytest.raises(ValueError):
        rewritten(path, BATCHED)


def test_sizes_for_one_image_are_made_those_of_all(tmp_path: Path) -> None:
    resize = node("Resize", "x", "", "", "z", mode="nearest")
    path = graph([resize], tmp_path / "g.onnx", z=np.array([1, 4, 16, 16]))
    x = np.random.default_rng(0).standard_normal((3, 4, 8, 8)).astype(np.float32)
    (y,) = run(session(rewritten(path, BATCHED)), x)
    one = session(path)
    np.testing.assert_array_equal(y, np.concatenate([run(one, row[None])[0] for row in x]))


@pytest.mark.parametrize(("provider", "batches"), [(CUDA, (1, 2, 4, 8)), (MIGRAPHX, (1, 4))])
def test_a_detector_has_batches_on_a_card(
    provider: str, batches: tuple[int, ...], load: Load, ort: Ort, detector: NetworkSpec
) -> None:
    network = load(provider, task=detector)
    assert (network.policy.batches, network.warnings) == (batches, ())
    sizes = len(detector.sizes)
    assert len(ort.sessions) == (sizes * len(batches) if provider == MIGRAPHX else 1)


def test_a_detector_that_cannot_is_run_one_by_one_and_says_so(
    load: Load, standin: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = NetworkSpec(standin / "det_10g.onnx", "0" * 64, ((640, 640),), single=True)
    network = load(CUDA, task=spec)
    assert network.policy.batches == (1,)
    (warning,) = network.warnings
    assert warning.startswith("det_10g.onnx takes one image a run: its node idle_")
    assert warning in caplog.text


def test_on_the_cpu_nothing_is_changed(load: Load, detector: NetworkSpec) -> None:
    network = load(CPU, task=detector)
    assert (network.policy.batches, network.takes_pixels, network.warnings) == ((1,), False, ())
