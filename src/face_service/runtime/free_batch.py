"""Networks for one image, made to take several at once.

The exports of SCRFD are for one image: their heads flatten all images of a run into one list of
anchors, `Transpose` to [height, width, n, channels] and `Reshape` to [-1, channels]. Here they are
written anew to [n, anchors, channels], and what else was computed for a batch of one is made to
follow the input. That is done only where every node is known to keep the images of a run apart, by
its operator and its constants: names and files decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

import numpy as np

from .editing import Constant, EditableGraph, Node, new_node
from .graph import TensorInfo

ELEMENTWISE = frozenset(
    {
        "Add", "Cast", "Clip", "Div", "Elu", "Erf", "Exp", "HardSigmoid", "HardSwish", "Identity",
        "LeakyRelu", "Mul", "Pow", "PRelu", "Relu", "Sigmoid", "Softplus", "Sqrt", "Sub", "Tanh",
    }
)  # fmt: skip
"""Operators that compute each output number from the input numbers in the same place."""
PER_IMAGE = frozenset(
    {
        "AveragePool", "BatchNormalization", "Conv", "DequantizeLinear", "GlobalAveragePool",
        "GlobalMaxPool", "InstanceNormalization", "MaxPool", "QuantizeLinear",
    }
)  # fmt: skip
"""Operators whose first axis is that of the images, whatever their attributes; all their inputs but
the first must be constant."""

FLATTENING = (2, 3, 0, 1)
"""`perm` of the heads that flatten: [n, c, h, w] to [h, w, n, c]."""
PER_ROW = (0, 2, 3, 1)
"""The `perm` that takes its place: [n, c, h, w] to [n, h, w, c]."""

PREFIX = "face_service_batch"
"""Begins the names of what is added: networks have none like it."""


class MixesImages(ValueError):
    """A network whose images may depend on each other in one run, and why."""


class Kind(Enum):
    """What is known of a value that is not one of `Images`."""

    CONSTANT = auto()
    TURNED = auto()
    """[height, width, n, channels] in the graph as it was: good for a Reshape that flattens, and
    for nothing else."""
    SHAPE = auto()
    """A list of integers, of which the first is n."""
    SIZES = auto()
    """Integers that do not depend on n."""


@dataclass(frozen=True, slots=True)
class Images:
    """A value whose first axis is that of the images: nothing in a row depends on another row.

    axes: how many it has. flattened: in the graph as it was, the first axis held the anchors of all
    images; now the images have an axis of their own before it.
    """

    axes: int
    flattened: bool = False


Value = Kind | Images


def free_batch(graph: EditableGraph) -> None:
    """Make the first axis of the input free, so that a run takes any number of images.

    An output [anchors, channels] of a head that flattens becomes [n, anchors, channels]; all others
    keep their shape, with n for 1. Raises MixesImages where a node is not known to keep images
    apart; then the graph is unchanged.
    """
    if graph.input.shape is None or len(graph.input.shape) != 4:
        raise MixesImages("its input is not [n, channels, height, width]")
    nodes = _Rewriting(graph).nodes()
    _, *sides = graph.input.shape
    graph.nodes = nodes
    graph.set_input((None, *sides))


class _Rewriting:
    """One pass over the nodes of a graph."""

    def __init__(self, graph: EditableGraph) -> None:
        self._graph = graph
        self._values: dict[str, Value] = {graph.input.name: Images(4)}
        self._constant_nodes: dict[str, Node] = {}
        self._new_constants: dict[str, Constant] = {}
        self._nodes: list[Node] = []

    def nodes(self) -> list[Node]:
        """The nodes of the changed graph, whose constants and outputs are in the graph then."""
        waiting = self._graph.nodes
        while waiting:  # a converter to fp16 may list a node after those that use its outputs
            left = [node for node in waiting if not self._visited(node)]
            if len(left) == len(waiting):
                raise MixesImages(f"nothing gives the inputs of its node {left[0].name}")
            waiting = left
        outputs = dict(self._graph.outputs)
        for name in outputs:
            value = self._values.get(name, Kind.CONSTANT)
            if not isinstance(value, Images):
                raise MixesImages(f"its output {name} is not one row for an image")
            if value.flattened:
                outputs[name] = TensorInfo(name, (None,) * value.axes)
        self._graph.outputs = outputs
        for name, constant in self._new_constants.items():
            self._graph.add_constant(name, constant)
        return self._nodes

    def _visited(self, node: Node) -> bool:
        """Visit a node; False where its inputs are not known yet."""
        if not all(name in self._values for name in node.inputs if not self._is_constant(name)):
            return False
        self._values.update(dict.fromkeys(node.outputs, self._visit(node)))
        return True

    def _is_constant(self, name: str) -> bool:
        return not name or self._graph.is_weight(name)

    def _visit(self, node: Node) -> Value:
        """What is known of the node's outputs; the node, or what takes its place, is kept."""
        values = [self._values.get(name, Kind.CONSTANT) for name in node.inputs if name]
        if node.operator == "Constant" or (values and set(values) == {Kind.CONSTANT}):
            self._constant_nodes[node.outputs[0]] = node
            value: Value = Kind.CONSTANT
        elif node.operator in ELEMENTWISE and any(isinstance(one, Images) for one in values):
            value = self._elementwise(node, values)
        elif node.operator in PER_IMAGE and set(values[1:]) <= {Kind.CONSTANT}:
            value = self._images(node, values[0])
        elif node.operator in VISITORS:
            return VISITORS[node.operator](self, node, values)
        else:
            raise self._mixes(node)
        self._nodes.append(node)
        return value

    def _constant(self, name: str) -> Constant | None:
        node = self._constant_nodes.get(name)
        return node.constant if node else self._graph.constant(name)

    def _dims(self, name: str) -> tuple[int, ...] | None:
        node = self._constant_nodes.get(name)
        return node.dims if node else self._graph.dims(name)

    def _mixes(self, node: Node) -> MixesImages:
        name = node.name or node.outputs[0]
        return MixesImages(f"its node {name} ({node.operator}) may mix several")

    def _images(self, node: Node, value: Value) -> Images:
        """`value`, of a node that needs images that are not flattened."""
        if not isinstance(value, Images) or value.flattened:
            raise self._mixes(node)
        return value

    def _elementwise(self, node: Node, values: list[Value]) -> Images:
        """A constant is the same for every row: it has fewer axes than the value, or its first is
        of length 1."""
        images = {value for value in values if isinstance(value, Images)}
        if len(images) != 1:
            raise self._mixes(node)
        (first,) = images
        before = first.axes - first.flattened  # axes that the graph was written for
        for name, value in zip(filter(None, node.inputs), values, strict=True):
            if isinstance(value, Images):
                continue
            dims = self._dims(name) if value is Kind.CONSTANT else None
            if dims is None or len(dims) > before or (len(dims) == before and dims[0] != 1):
                raise self._mixes(node)
        return first

    def _transpose(self, node: Node, values: list[Value]) -> Value:
        images = self._images(node, values[0])
        perm = node.ints("perm")
        if perm == FLATTENING:
            self._nodes.append(new_node("Transpose", node.inputs, node.outputs, perm=PER_ROW))
            return Kind.TURNED
        if perm is None or perm[0] != 0:
            raise self._mixes(node)
        self._nodes.append(node)
        return images

    def _reshape(self, node: Node, values: list[Value]) -> Images:
        target = self._constant(node.inputs[1])
        sides = [] if target is None else [int(side) for side in target]
        if values[0] is Kind.TURNED and len(sides) == 2 and sides[0] == -1 and sides[1] > 0:
            rows, value = [0, *sides], Images(3, flattened=True)
        elif len(sides) > 1 and sides[0] in (0, 1) and not node.ints("allowzero"):
            self._images(node, values[0])
            rows, value = [0, *sides[1:]], Images(len(sides))
        else:
            raise self._mixes(node)
        shape = self._new_constant(np.array(rows, np.int64))  # 0: as the input
        self._nodes.append(new_node("Reshape", (node.inputs[0], shape), node.outputs))
        return value

    def _resize(self, node: Node, values: list[Value]) -> Images:
        """Sizes are made of the input's, or constant for one image; or there are factors, which are
        for all."""
        images = self._images(node, values[0])
        factors = self._constant(node.inputs[2]) if len(node.inputs) == 3 else None
        if factors is not None and len(factors) == 4 and factors[0] == 1:
            self._nodes.append(node)
            return images
        value, name = (values[-1], node.inputs[-1]) if len(node.inputs) == 4 else (None, "")
        if value is Kind.CONSTANT:
            sizes = self._constant(name)
            if sizes is None or len(sizes) != 4 or sizes[0] != 1:
                raise self._mixes(node)
            node = node.with_inputs((*node.inputs[:3], self._sizes_of(node, sizes[1:])))
        elif value is not Kind.SHAPE:
            raise self._mixes(node)
        self._nodes.append(node)
        return images

    def _sizes_of(self, node: Node, sizes: Constant) -> str:
        """The name of the sizes [n, *sizes], computed from the shape of the node's input."""
        shape, rows, name = (f"{PREFIX}_{part}_{node.outputs[0]}" for part in ("a", "b", "c"))
        bounds = [self._new_constant(np.array([end], np.int64)) for end in (0, 1)]
        rest = self._new_constant(sizes.astype(np.int64))
        self._nodes += [
            new_node("Shape", node.inputs[:1], (shape,)),
            new_node("Slice", (shape, *bounds), (rows,)),
            new_node("Concat", (rows, rest), (name,), axis=0),
        ]
        return name

    def _new_constant(self, value: Constant) -> str:
        name = f"{PREFIX}_{'_'.join(map(str, value.tolist()))}"
        self._new_constants[name] = value
        return name

    def _concat(self, node: Node, values: list[Value]) -> Value:
        (axis,) = node.ints("axis") or (0,)
        if values[0] is Kind.SHAPE and set(values[1:]) <= {Kind.SIZES, Kind.CONSTANT}:
            value: Value = Kind.SHAPE
        elif axis > 0 and len(set(values)) == 1:
            value = self._images(node, values[0])
        else:
            raise self._mixes(node)
        self._nodes.append(node)
        return value

    def _shape(self, node: Node, values: list[Value]) -> Value:
        self._images(node, values[0])
        if node.ints("start") or node.ints("end"):
            raise self._mixes(node)
        self._nodes.append(node)
        return Kind.SHAPE

    def _gather(self, node: Node, values: list[Value]) -> Value:
        """Sides of a shape, but not its first."""
        indices = self._constant(node.inputs[1])
        if values[0] is not Kind.SHAPE or indices is None or not (indices > 0).all():
            raise self._mixes(node)
        self._nodes.append(node)
        return Kind.SIZES

    def _slice(self, node: Node, values: list[Value]) -> Value:
        """Sides of a shape from its first on."""
        starts = self._constant(node.inputs[1]) if len(node.inputs) > 1 else None
        steps = self._constant(node.inputs[4]) if len(node.inputs) > 4 else None
        forward = len(node.inputs) <= 4 or (steps is not None and (steps == 1).all())
        if values[0] is not Kind.SHAPE or starts is None or starts.any() or not forward:
            raise self._mixes(node)
        self._nodes.append(node)
        return Kind.SHAPE

    def _unsqueeze(self, node: Node, values: list[Value]) -> Value:
        if values[0] is not Kind.SIZES:
            raise self._mixes(node)
        self._nodes.append(node)
        return Kind.SIZES


VISITORS: Mapping[str, Callable[[_Rewriting, Node, list[Value]], Value]] = MappingProxyType(
    {
        "Concat": _Rewriting._concat,
        "Gather": _Rewriting._gather,
        "Reshape": _Rewriting._reshape,
        "Resize": _Rewriting._resize,
        "Shape": _Rewriting._shape,
        "Slice": _Rewriting._slice,
        "Transpose": _Rewriting._transpose,
        "Unsqueeze": _Rewriting._unsqueeze,
    }
)
