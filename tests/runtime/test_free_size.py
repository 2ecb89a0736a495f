"""Networks that declare one size: freed where nothing depends on it, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from face_service.packs.entries import Role
from face_service.packs.pack import Pack
from face_service.runtime.free_size import DependsOnSize
from face_service.runtime.providers import CPU
from face_service.runtime.rewriting import Edits, rewritten

FREE = Edits(free_size=True)


def run(network: bytes | Path, blob: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(network, options, providers=[CPU])
    return session.run(None, {session.get_inputs()[0].name: blob})


def test_what_is_freed_computes_the_same_and_takes_other_sizes(open_pack: Pack) -> None:
    path = open_pack.models[Role.DETECTION].path
    freed = rewritten(path, FREE)
    blob = np.random.default_rng(0).uniform(0, 255, (1, 3, 640, 640)).astype(np.float32)
    for one, other in zip(run(path, blob), run(freed, blob), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
    assert [output.shape[1] for output in run(freed, blob[:, :, :96, :64])][:3] == [96, 24, 6]
    with pytest.raises(Exception, match="invalid dimensions"):
        run(path, blob[:, :, :96, :64])


def test_batch_and_size_are_freed_together(open_pack: Pack) -> None:
    network = rewritten(open_pack.models[Role.DETECTION].path, Edits(True, free_size=True))
    blobs = np.random.default_rng(0).uniform(0, 255, (2, 3, 96, 64)).astype(np.float32)
    together = run(network, blobs)
    for row in range(2):
        for output, alone in zip(together, run(network, blobs[row : row + 1]), strict=True):
            np.testing.assert_allclose(output[row], alone[0], rtol=0, atol=1e-5)


def test_the_detector_of_the_starter_pack_depends_on_its_size(starter: Pack) -> None:
    with pytest.raises(DependsOnSize, match=r"\(Resize\) may be for one size"):
        rewritten(starter.models[Role.DETECTION].path, FREE)


def node(operator: str, *inputs: str, **attributes: Any) -> Any:
    return helper.make_node(operator, list(inputs), ["y"], **attributes)


@pytest.mark.parametrize(
    ("made", "weight"),
    [
        (node("Add", "x", "w"), np.zeros((1, 4, 8, 8), np.float32)),
        (node("Reshape", "x", "w"), np.array([1, -1, 8, 8])),
        (node("Reshape", "x", "w"), np.array([1, 256])),
        (node("Flatten", "x"), np.zeros(1, np.float32)),
        (node("MatMul", "x", "w"), np.zeros((8, 8), np.float32)),
    ],
)
def test_nodes_that_may_be_for_one_size_are_left_alone(
    made: Any, weight: np.ndarray, tmp_path: Path
) -> None:
    graph = helper.make_graph(
        [made],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )
    path = tmp_path / "g.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), path)
    with pytest.raises(DependsOnSize, match="may be for one size"):
        rewritten(path, FREE)
