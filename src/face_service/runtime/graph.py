"""The header of an ONNX file, and its weights, read without the package `onnx`.

An ONNX file is one Protocol Buffers message. The few fields that are needed are read from the wire
format in a memory map; everything else, the weights above all, is stepped over. Field numbers:
`onnx.proto`, stable since IR 3.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .protobuf import Buffer, Field, as_field, fields, find, message, text

Shape = tuple[int, ...]
"""Of a network's input: rows (images or faces of one run), channels, height, width; rows, height,
width, channels where it takes pixels (`pixel_input`)."""

GRAPH = 7  # ModelProto
NODE, INITIALIZER, INPUT, OUTPUT, VALUE_INFO = 1, 5, 11, 12, 13  # GraphProto
DATA_TYPE, FLOAT_DATA, TENSOR_NAME, RAW_DATA = 2, 4, 8, 9  # TensorProto
NODE_NAME = 3  # NodeProto
VALUE_NAME, VALUE_TYPE = 1, 2  # ValueInfoProto
TENSOR_TYPE = 1  # TypeProto
ELEMENT_TYPE, SHAPE = 1, 2  # TypeProto.Tensor
DIM = 1  # TensorShapeProto
DIM_VALUE = 1  # TensorShapeProto.Dimension
FLOAT, UINT8 = 1, 2  # TensorProto.DataType

FIRST_NODES = 8
"""Nodes at which InsightFace looks to tell a network's normalisation (arcface_onnx.py)."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or an output. A symbolic or unknown axis is None; so is an unknown shape. kind: the
    TensorProto.DataType."""

    name: str
    shape: tuple[int | None, ...] | None
    kind: int = FLOAT


def tensor_info(data: Buffer, value: Field) -> TensorInfo:
    """Name, shape and type in a ValueInfoProto."""
    found: Field | None = value
    for number in (VALUE_TYPE, TENSOR_TYPE, SHAPE):
        found = found and find(data, found, number)
    shape = found and tuple(
        _dimension(data, axis) for axis in message(data, found) if axis.number == DIM
    )
    return TensorInfo(text(data, value, VALUE_NAME), shape, element_type(data, value))


def _dimension(data: Buffer, axis: Field) -> int | None:
    value = find(data, axis, DIM_VALUE)
    # Exporters also write "unknown" as 0 or as -1, which is 2**64 - 1 on the wire.
    return value.start if value and 0 < value.start < 2**63 else None


def graph_of(data: Buffer) -> Field:
    """The graph of a ModelProto. Raises ValueError if there is none, and as `fields`."""
    graph = next((field for field in fields(data, 0, len(data)) if field.number == GRAPH), None)
    if graph is None:
        raise ValueError("it holds no graph")
    return graph


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """The bytes of a file as a memory map, which is closed at the end of the block. Raises OSError
    where it cannot be read, ValueError where it is empty."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


@dataclass(frozen=True, slots=True)
class OnnxHeader:
    """The header of an ONNX file: its inputs, without those that are weights, its outputs,
    and the names of its first FIRST_NODES nodes."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    first_nodes: tuple[str, ...]


def read_header(path: Path) -> OnnxHeader:
    """Read the header of an ONNX file. Weights stay on disk: a network of 250 MB costs a few pages.

    Raises ValueError or IndexError where it is no whole ONNX file, OSError where it cannot be read.
    """
    inputs: list[TensorInfo] = []
    outputs: list[TensorInfo] = []
    first_nodes: list[str] = []
    weights: set[str] = set()
    with mapped(path) as data:
        for field in message(data, graph_of(data)):
            if field.number == NODE and len(first_nodes) < FIRST_NODES:
                first_nodes.append(text(data, field, NODE_NAME))
            elif field.number == INITIALIZER:
                weights.add(text(data, field, TENSOR_NAME))
            elif field.number == INPUT:
                inputs.append(tensor_info(data, field))
            elif field.number == OUTPUT:
                outputs.append(tensor_info(data, field))
    # Before IR version 4 every weight had to be listed as an input, too.
    inputs = [tensor for tensor in inputs if tensor.name not in weights]
    if not (inputs and outputs and first_nodes):
        raise ValueError("its graph lacks inputs, outputs or nodes")
    return OnnxHeader(tuple(inputs), tuple(outputs), tuple(first_nodes))


def read_input(path: Path) -> TensorInfo:
    """The first input of a network; raises as `read_header`."""
    return read_header(path).inputs[0]


def without_denormals(path: Path) -> bytes | None:
    """The network in the file `path` with 0 for every float32 weight that is denormal, nearer to 0
    than 2**-126; None where it has none.

    A processor computes with denormal numbers 10 to 35 times as slowly as with others. ONNX
    Runtime's `session.set_denormal_as_zero` does not reach the thread that calls `run`. Retired
    when it does: findings/onnxruntime-denormal-as-zero.sh fails then; no issue known.
    """
    changed = False
    content = bytearray(path.read_bytes())
    for weights in _float_weights(content):
        denormal = (weights != 0) & (np.abs(weights) < np.finfo(np.float32).smallest_normal)
        if denormal.any():
            weights[denormal] = 0
            changed = True
    return bytes(content) if changed else None


def _float_weights(content: bytearray) -> Iterator[NDArray[np.float32]]:
    """Views of the float32 weights of a ModelProto, one-dimensional."""
    data = memoryview(content)
    for tensor in message(data, graph_of(data)):
        kind = find(data, tensor, DATA_TYPE) if tensor.number == INITIALIZER else None
        if kind and kind.start == FLOAT:
            for field in message(data, tensor):
                if field.number in (FLOAT_DATA, RAW_DATA) and field.end >= 0:
                    yield np.frombuffer(data[field.start : field.end], np.dtype("<f4"))


def element_type(data: Buffer, value: Field) -> int:
    """The TensorProto.DataType in a ValueInfoProto; FLOAT where it has none."""
    found: Field | None = value
    for number in (VALUE_TYPE, TENSOR_TYPE, ELEMENT_TYPE):
        found = found and find(data, found, number)
    return found.start if found else FLOAT


def value_info(name: str, kind: int, shape: Sequence[int | None] | None) -> bytes:
    """A ValueInfoProto of the TensorProto.DataType `kind`. None in `shape` is a free axis; None for
    `shape` leaves it undeclared."""
    tensor = as_field(ELEMENT_TYPE, kind)
    if shape is not None:
        axes = (b"" if side is None else as_field(DIM_VALUE, side) for side in shape)
        tensor += as_field(SHAPE, b"".join(as_field(DIM, axis) for axis in axes))
    return as_field(VALUE_NAME, name.encode()) + as_field(VALUE_TYPE, as_field(TENSOR_TYPE, tensor))
