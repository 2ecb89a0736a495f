"""Networks whose exporter declared one height and width, although nothing in them depends on it.

OpenCV does not read the sizes that an ONNX file declares, ONNX Runtime insists on them. They are
freed only where every node is known to follow its input, by its operator and its constants.
"""

from __future__ import annotations

from .editing import EditableGraph, Node
from .free_batch import ELEMENTWISE

FOLLOWING = frozenset(
    {"AveragePool", "BatchNormalization", "Concat", "Conv", "MaxPool", "Transpose"}
)
"""Operators whose outputs follow the size of their inputs, whatever attributes and constants they
have."""

QUANTISING = frozenset({"DequantizeLinear", "QuantizeLinear"})


class DependsOnSize(ValueError):
    """A network that may compute something else, or nothing, on another size, and why."""


def free_size(graph: EditableGraph) -> None:
    """Make height and width of the input free.

    Raises DependsOnSize where a node is not known to follow; then the graph is unchanged.
    """
    if graph.input.shape is None or len(graph.input.shape) != 4:
        raise DependsOnSize("its input is not [n, channels, height, width]")
    constants = {node.outputs[0]: node for node in graph.nodes if node.operator == "Constant"}
    for node in graph.nodes:
        if not (node.outputs[0] in constants or _follows(graph, node, constants)):
            name = node.name or node.outputs[0]
            raise DependsOnSize(f"its node {name} ({node.operator}) may be for one size")
    rows, channels, _, _ = graph.input.shape
    graph.set_input((rows, channels, None, None))


def _follows(graph: EditableGraph, node: Node, constants: dict[str, Node]) -> bool:
    """Whether the sizes of its outputs follow those of its inputs."""
    if node.operator in FOLLOWING:
        return True
    if node.operator in QUANTISING:  # by one scale, or one for each channel
        return node.ints("axis") in (None, (0,), (1,))
    names = [name for name in node.inputs if name in constants or graph.is_weight(name)]
    values = [
        constants[name].constant if name in constants else graph.constant(name) for name in names
    ]
    if node.operator in ELEMENTWISE:
        return all(value is not None and value.size == 1 for value in values)
    if node.operator == "Reshape":
        target = values[0] if len(values) == 1 else None
        return target is not None and len(target) <= 3 and bool((target == -1).any())
    # By factors, the third of three inputs.
    return node.operator == "Resize" and len(node.inputs) == 3 and node.inputs[2] in names
