"""The graph of an ONNX file, changed: nodes and weights replaced, added and removed, without the
package `onnx`.

What is not changed keeps its bytes. Field numbers and enumerations: `onnx.proto`, stable since
IR 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .graph import (
    DATA_TYPE,
    FLOAT,
    FLOAT_DATA,
    INITIALIZER,
    INPUT,
    NODE,
    OUTPUT,
    RAW_DATA,
    TENSOR_NAME,
    VALUE_INFO,
    VALUE_NAME,
    TensorInfo,
    element_type,
    graph_of,
    tensor_info,
    value_info,
)
from .protobuf import Field, as_field, as_varint, find, message, numbers, text

NODE_INPUT, NODE_OUTPUT, NODE_NAME, OPERATOR, ATTRIBUTE = 1, 2, 3, 4, 5  # NodeProto
ATTRIBUTE_NAME, ATTRIBUTE_INT, ATTRIBUTE_TENSOR, ATTRIBUTE_INTS = 1, 3, 5, 8  # AttributeProto
ATTRIBUTE_TYPE = 20
INT, INTS = 2, 7  # AttributeProto.AttributeType
DIMS, INT64_DATA = 1, 7  # TensorProto
INT64 = 7  # TensorProto.DataType

DTYPES: dict[int, np.dtype[Any]] = {FLOAT: np.dtype("<f4"), INT64: np.dtype("<i8")}

Constant = NDArray[np.float32] | NDArray[np.int64]
"""The value of a weight or of a node Constant, of any shape."""
Axes = Sequence[int | None]
"""Sides of an input or output, None for a free one."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its operator and name, the names of its inputs and outputs, and its NodeProto."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    encoded: bytes

    def ints(self, attribute: str) -> tuple[int, ...] | None:
        """An attribute that is an integer or a list of them; None where it is not there."""
        found = self._attribute(attribute)
        if found is None:
            return None
        kind = ATTRIBUTE_INTS if find(self.encoded, found, ATTRIBUTE_INT) is None else ATTRIBUTE_INT
        return numbers(self.encoded, found, kind)

    @property
    def constant(self) -> Constant | None:
        """The value of a Constant; None for any other operator or type but float32 and int64."""
        tensor = self._tensor()
        return array(self.encoded, tensor) if tensor else None

    @property
    def dims(self) -> tuple[int, ...] | None:
        """The sides of a Constant's value, of any type; None for any other operator."""
        tensor = self._tensor()
        return numbers(self.encoded, tensor, DIMS) if tensor else None

    def _tensor(self) -> Field | None:
        found = self._attribute("value") if self.operator == "Constant" else None
        return found and find(self.encoded, found, ATTRIBUTE_TENSOR)

    def _attribute(self, name: str) -> Field | None:
        for field in message(self.encoded, whole(self.encoded)):
            if field.number == ATTRIBUTE and text(self.encoded, field, ATTRIBUTE_NAME) == name:
                return field
        return None

    def with_inputs(self, inputs: Sequence[str]) -> Node:
        """The same with other inputs."""
        kept = (
            self.encoded[field.first : field.last]
            for field in message(self.encoded, whole(self.encoded))
            if field.number != NODE_INPUT
        )
        encoded = b"".join((*(as_field(NODE_INPUT, name.encode()) for name in inputs), *kept))
        return Node(self.operator, self.name, tuple(inputs), self.outputs, encoded)


def new_node(
    operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: int | Sequence[int]
) -> Node:
    """A node, named as its first output. attributes: integers from 0 on, and lists of them."""
    parts = [as_field(NODE_INPUT, name.encode()) for name in inputs]
    parts += [as_field(NODE_OUTPUT, name.encode()) for name in outputs]
    parts += [as_field(NODE_NAME, outputs[0].encode()), as_field(OPERATOR, operator.encode())]
    for name, value in attributes.items():
        if isinstance(value, int):
            content = as_field(ATTRIBUTE_INT, value) + as_field(ATTRIBUTE_TYPE, INT)
        else:
            content = b"".join(as_field(ATTRIBUTE_INTS, each) for each in value)
            content += as_field(ATTRIBUTE_TYPE, INTS)
        parts.append(as_field(ATTRIBUTE, as_field(ATTRIBUTE_NAME, name.encode()) + content))
    return Node(operator, outputs[0], tuple(inputs), tuple(outputs), b"".join(parts))


class EditableGraph:
    """The graph of a ModelProto, to be changed.

    nodes: in their order. input: the one input that is no weight. outputs: those of the graph, by
    name. Raises ValueError where there is not exactly one input, ValueError or IndexError for what
    is no whole ModelProto.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._graph = graph_of(data)
        self.nodes: list[Node] = []
        self._weights: dict[str, Field] = {}
        self._added: list[bytes] = []
        self._rest: list[Field] = []
        inputs: dict[str, Field] = {}
        outputs: dict[str, Field] = {}
        for field in message(data, self._graph):
            if field.number == NODE:
                self.nodes.append(read_node(data[field.start : field.end]))
            elif field.number == INITIALIZER:
                self._weights[text(data, field, TENSOR_NAME)] = field
            elif field.number == INPUT:
                inputs[text(data, field, VALUE_NAME)] = field
            elif field.number == OUTPUT:
                outputs[text(data, field, VALUE_NAME)] = field
            elif field.number != VALUE_INFO:
                self._rest.append(field)
        # Before IR version 4 every weight had to be listed as an input, too.
        self._rest += [inputs.pop(name) for name in list(inputs) if name in self._weights]
        if len(inputs) != 1:
            raise ValueError(f"it has {len(inputs)} inputs, not one")
        self.input = tensor_info(data, *inputs.values())
        self.outputs = {name: tensor_info(data, field) for name, field in outputs.items()}
        self._types = {name: element_type(data, field) for name, field in outputs.items()}
        self._input_type = element_type(data, *inputs.values())

    def constant(self, name: str) -> Constant | None:
        """A weight of float32 or int64; None for any other, and for what is no weight."""
        field = self._weights.get(name)
        return array(self._data, field) if field else None

    def dims(self, name: str) -> tuple[int, ...] | None:
        """The sides of a weight, of any type; None for what is no weight."""
        field = self._weights.get(name)
        return numbers(self._data, field, DIMS) if field else None

    def is_weight(self, name: str) -> bool:
        """Whether `name` is a weight of the graph's own, of any type."""
        return name in self._weights

    def add_constant(self, name: str, value: Constant) -> str:
        """Add a weight under a name that the graph does not have yet. Returns the name."""
        kind = FLOAT if value.dtype == np.float32 else INT64
        self._added.append(
            b"".join(as_field(DIMS, side) for side in value.shape)
            + as_field(DATA_TYPE, kind)
            + as_field(TENSOR_NAME, name.encode())
            + as_field(RAW_DATA, value.astype(DTYPES[kind]).tobytes())
        )
        return name

    def set_input(self, axes: Axes, kind: int | None = None) -> None:
        """Change the shape of the input, and its type to the TensorProto.DataType `kind`; None
        keeps the type."""
        self.input = TensorInfo(self.input.name, tuple(axes))
        self._input_type = kind or self._input_type

    def to_bytes(self) -> bytes:
        """The ModelProto. The declared sizes of outputs and of intermediate values are removed:
        official SCRFD exports declare the outputs of a 640×640 canvas, whatever the canvas."""
        content = list(self._parts())
        size = as_varint(GRAPH_KEY) + as_varint(sum(map(len, content)))
        data = memoryview(self._data)
        return b"".join((data[: self._graph.first], size, *content, data[self._graph.last :]))

    def _parts(self) -> Iterator[bytes | memoryview]:
        data = memoryview(self._data)
        for node in self.nodes:
            yield as_field(NODE, node.encoded)
        for field in (*self._weights.values(), *self._rest):
            yield data[field.first : field.last]
        for weight in self._added:
            yield as_field(INITIALIZER, weight)
        yield as_field(INPUT, value_info(self.input.name, self._input_type, self.input.shape))
        for name, output in self.outputs.items():
            axes = None if output.shape is None else (None,) * len(output.shape)
            yield as_field(OUTPUT, value_info(name, self._types[name], axes))


GRAPH_KEY = 7 << 3 | 2
"""The key of ModelProto's field `graph`: number 7, wire type 2, whose content is a message."""


def read_node(encoded: bytes) -> Node:
    """A node from the bytes of a NodeProto."""
    named: dict[int, list[str]] = {NODE_INPUT: [], NODE_OUTPUT: [], NODE_NAME: [], OPERATOR: []}
    for field in message(encoded, whole(encoded)):
        if field.number in named:
            named[field.number].append(encoded[field.start : field.end].decode())
    name, operator = "".join(named[NODE_NAME]), "".join(named[OPERATOR])
    return Node(operator, name, tuple(named[NODE_INPUT]), tuple(named[NODE_OUTPUT]), encoded)


def array(data: bytes, tensor: Field) -> Constant | None:
    """A TensorProto of float32 or int64 whose values are in the file; None for any other."""
    (kind,) = numbers(data, tensor, DATA_TYPE) or (0,)
    if kind not in DTYPES:
        return None
    raw = find(data, tensor, RAW_DATA)
    if raw:
        values = np.frombuffer(data[raw.start : raw.end], DTYPES[kind])
    elif kind == INT64:
        values = np.array(numbers(data, tensor, INT64_DATA), np.int64)
    else:
        packed = find(data, tensor, FLOAT_DATA)
        values = np.frombuffer(data[packed.start : packed.end] if packed else b"", "<f4")
    shape = numbers(data, tensor, DIMS)
    return values.reshape(shape) if values.size == np.prod(shape, dtype=int) else None


def whole(data: bytes) -> Field:
    """All of `data` as the content of one field, to be read as a message."""
    return Field(0, 0, len(data), 0, len(data))


def renamed(names: Iterable[str], old: str, new: str) -> list[str]:
    """`names`, with `new` for `old`."""
    return [new if name == old else name for name in names]
