"""Networks made of real ones, as people bring them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper


def free_and_short(source: Path, target: Path, length: int) -> None:
    """A recogniser with free height and width whose embeddings are the first `length` numbers."""
    model = onnx.load(source)
    graph = model.graph
    for axis, name in zip(graph.input[0].type.tensor_type.shape.dim, "nchw", strict=True):
        if name != "c":
            axis.Clear()
            axis.dim_param = name
    (output,) = graph.output
    for node in graph.node:
        node.output[:] = ["whole" if name == output.name else name for name in node.output]
    for name, value in (("start", 0), ("end", length), ("axis", 1)):
        graph.initializer.append(numpy_helper.from_array(np.array([value]), f"cut_{name}"))
    cut = ["whole", "cut_start", "cut_end", "cut_axis"]
    graph.node.append(helper.make_node("Slice", cut, [output.name]))
    output.type.tensor_type.shape.dim[1].dim_value = length
    onnx.save(model, target)
