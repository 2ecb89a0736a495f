"""PRelu in other operators: the same bits, and on processors that convolve in blocks of channels
nothing that leaves them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from face_service.packs.entries import Role
from face_service.packs.pack import Pack
from face_service.runtime.editing import EditableGraph
from face_service.runtime.mapped import edited, save
from face_service.runtime.prelu import replace_prelus
from face_service.runtime.processor import processor
from face_service.runtime.providers import CPU

IN_BLOCKS = "avx2" in processor().instruction_sets
Array = NDArray[np.float32]
random = np.random.default_rng(0)


def network(channels: int, slopes: Array, before: str = "Conv", listed: bool = False) -> bytes:
    """A convolution or `before`, PRelu, and a convolution. listed: slopes are a second input."""
    given = 3 if before == "Conv" else channels
    weights = {
        "first": random.standard_normal((channels, given, 3, 3)),
        "last": random.standard_normal((8, channels, 3, 3)),
        "slopes": slopes,
    }
    first = helper.make_node("Conv", ["x", "first"], ["a"], pads=[1, 1, 1, 1])
    nodes = [
        first if before == "Conv" else helper.make_node(before, ["x"], ["a"]),
        helper.make_node("PRelu", ["a", "slopes"], ["b"]),
        helper.make_node("Conv", ["b", "last"], ["y"]),
    ]
    kept = [name for name in weights if not (listed and name == "slopes")]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", given, 14, 14])]
    if listed:
        inputs.append(helper.make_tensor_value_info("slopes", TensorProto.FLOAT, slopes.shape))
    graph = helper.make_graph(
        nodes,
        "g",
        inputs,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8, 12, 12])],
        [numpy_helper.from_array(weights[name].astype(np.float32), name) for name in kept],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()


def answers(content: bytes | str, blob: Array) -> Sequence[Array]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=[CPU])
    return session.run(None, {session.get_inputs()[0].name: blob})


def assert_same_bits(some: Sequence[Array], others: Sequence[Array]) -> None:
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert np.array_equal(one, other, equal_nan=True)


def operators(content: bytes | Path) -> Counter[str]:
    loaded: Any = (
        onnx.load(content) if isinstance(content, Path) else onnx.load_from_string(content)
    )
    return Counter(node.op_type for node in loaded.graph.node)


def slopes(*shape: int) -> Array:
    """Of every kind: below 0, 0, above 1."""
    values = random.standard_normal(shape).astype(np.float32)
    values.flat[0] = 0
    return values


@pytest.mark.parametrize("in_blocks", [False, True])
@pytest.mark.parametrize(
    ("channels", "shape", "before"),
    [
        (64, (64, 1, 1), "Conv"),
        (24, (24, 1, 1), "Conv"),
        (64, (1, 64, 1, 1), "Conv"),
        (64, (1,), "Conv"),
        (64, (1, 1, 1), "Conv"),
        (16, (), "Conv"),
        (8, (8, 1, 1), "Identity"),
        (8, (8, 14, 14), "Identity"),
    ],
)
def test_the_bits_are_the_same(
    channels: int, shape: tuple[int, ...], before: str, in_blocks: bool
) -> None:
    content = network(channels, slopes(*(shape or (1,))).reshape(shape), before)
    graph = EditableGraph(content)
    assert replace_prelus(graph, in_blocks)
    changed = graph.to_bytes()
    assert "PRelu" not in operators(changed)
    assert operators(changed)["Conv"] == operators(content)["Conv"] + 2 * (
        in_blocks and shape == (64, 1, 1)
    )
    blob = random.standard_normal((3, *(graph.input.shape or ())[1:])).astype(np.float32)
    blob[0, 0, 0, 0], blob[1, 1, 6, 6], blob[2, 2, 12, 12] = np.inf, -np.inf, np.nan
    assert_same_bits(answers(changed, blob), answers(content, blob))


@pytest.mark.skipif(not IN_BLOCKS, reason="this processor does not convolve in blocks of channels")
def test_nothing_leaves_the_blocks(tmp_path: Path) -> None:
    source = tmp_path / "source.onnx"
    source.write_bytes(network(64, slopes(64, 1, 1)))
    save({"path": str(source)}, tmp_path)
    found = operators(tmp_path / "network.onnx")
    assert found["PRelu"] == found["ReorderInput"] == 0, found
    assert found["ReorderOutput"] == 1, found


def test_what_has_none_is_left_alone(tmp_path: Path, open_pack: Pack) -> None:
    assert edited(open_pack.models[Role.DETECTION].path) is None
    several = tmp_path / "several.onnx"
    several.write_bytes(network(64, slopes(64, 1, 1), listed=True))
    assert edited(several) is None
