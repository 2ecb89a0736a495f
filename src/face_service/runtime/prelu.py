"""PRelu, in operators that ONNX Runtime computes with vectors on a CPU.

The recognisers of InsightFace have one behind nearly every convolution. ONNX Runtime computes it a
number at a time, with a branch for each, in an order of channels that its convolutions do not use:
in a MobileFaceNet that takes twice as long as all convolutions. Retired when it does not:
findings/onnxruntime-prelu-scalar.sh fails then; no issue known.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .editing import Constant, EditableGraph, Node, new_node

PREFIX = "face_service_prelu"
"""Begins the names of what is added: networks have none like it."""
CONVOLVING = frozenset({"Conv", "BatchNormalization"})
"""Operators whose output lies in blocks of channels where the processor has such convolutions
(nchwc_transformer.cc: a normalisation becomes one)."""
BLOCK = 16
"""Channels that a convolution in blocks of them takes at once, or a multiple of it (MLAS,
MlasNchwcGetBlockSize: 16 with AVX-512, 8 with AVX2)."""


def replace_prelus(graph: EditableGraph, in_blocks: bool) -> bool:
    """Write each PRelu of the graph whose slopes are float32 weights as
    max(x, 0) - slope·max(-x, 0) for each number x, which has the same bits but for the sign of a
    0. Returns whether there is one.

    in_blocks: whether the processor convolves in blocks of channels. Then what follows a
    convolution stays in blocks: each product is a depthwise convolution.
    """
    producers = {name: node.operator for node in graph.nodes for name in node.outputs}
    nodes: list[Node] = []
    changed = False
    for number, node in enumerate(graph.nodes):
        slopes = graph.constant(node.inputs[1]) if node.operator == "PRelu" else None
        if slopes is None or slopes.dtype != np.float32:
            nodes.append(node)
            continue
        changed = True
        name = f"{PREFIX}_{number}"
        convolved = in_blocks and producers.get(node.inputs[0]) in CONVOLVING
        if convolved and slopes.shape[1:] == (1, 1) and len(slopes) % BLOCK == 0:
            nodes += depthwise(graph, node, slopes, name)
        else:
            nodes += elementwise(node, name)
    graph.nodes = nodes
    return changed


def elementwise(node: Node, name: str) -> Iterator[Node]:
    """For a PRelu wherever it is."""
    x, slope = node.inputs
    yield new_node("Relu", [x], [f"{name}_positive"])
    yield new_node("Neg", [x], [f"{name}_flipped"])
    yield new_node("Relu", [f"{name}_flipped"], [f"{name}_negative"])
    yield new_node("Mul", [f"{name}_negative", slope], [f"{name}_scaled"])
    yield new_node("Sub", [f"{name}_positive", f"{name}_scaled"], node.outputs)


def depthwise(graph: EditableGraph, node: Node, slopes: Constant, name: str) -> Iterator[Node]:
    """For a PRelu with a slope for each channel. slopes: float32, [channels, 1, 1]."""

    def product(value: str, factors: Constant, output: str) -> Node:
        weights = graph.add_constant(f"{output}_by", factors.reshape(-1, 1, 1, 1))
        return new_node("Conv", [value, weights], [output], group=len(factors), kernel_shape=(1, 1))

    x = node.inputs[0]
    yield new_node("Relu", [x], [f"{name}_positive"])
    yield product(x, np.full_like(slopes, -1), f"{name}_flipped")
    yield new_node("Relu", [f"{name}_flipped"], [f"{name}_negative"])
    yield product(f"{name}_negative", -slopes, f"{name}_scaled")
    yield new_node("Add", [f"{name}_scaled", f"{name}_positive"], node.outputs)
