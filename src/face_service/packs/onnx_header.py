"""What an ONNX file says about itself: inputs, outputs, its first nodes. Weights stay on disk.

An ONNX file is one Protocol Buffers message. The few fields needed here are read straight
from the wire format; everything else, the weights above all, is stepped over in a memory
map, so a 250 MB network costs a few pages. Field numbers: `onnx.proto`, stable since IR 3.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from face_service.errors import PackError

FIRST_NODES = 8  # how many nodes InsightFace looks at to tell a network's normalisation

_GRAPH = 7  # ModelProto
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12  # GraphProto
_NODE_NAME = 3  # NodeProto
_TENSOR_NAME = 8  # TensorProto
_VALUE_NAME, _VALUE_TYPE = 1, 2  # ValueInfoProto
_TENSOR_TYPE = 1  # TypeProto
_SHAPE = 2  # TypeProto.Tensor
_DIM = 1  # TensorShapeProto
_DIM_VALUE = 1  # TensorShapeProto.Dimension


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or an output. A symbolic or unknown axis is None; so is an unknown shape."""

    name: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True)
class OnnxHeader:
    """A network's inputs (without those that are weights), outputs and first node names."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    first_nodes: tuple[str, ...]


class _Field(NamedTuple):
    number: int
    start: int  # where the content starts; for a varint, its value
    end: int  # where it ends; for a varint, -1


def read_header(path: Path) -> OnnxHeader:
    """Read the header of one ONNX file; PackError if it is not one, or is cut short."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read_model(data)
    except (ValueError, IndexError) as error:
        raise PackError(f"{path} is not a whole ONNX file: {error}.") from error
    except OSError as error:
        raise PackError(f"{path} cannot be read: {error.strerror}.") from error


def _read_model(data: mmap.mmap) -> OnnxHeader:
    graph = next((f for f in _fields(data, 0, len(data)) if f.number == _GRAPH), None)
    if graph is None:
        raise ValueError("it holds no graph")
    inputs: list[TensorInfo] = []
    outputs: list[TensorInfo] = []
    first_nodes: list[str] = []
    weights: set[str] = set()
    for field in _message(data, graph):
        if field.number == _NODE and len(first_nodes) < FIRST_NODES:
            first_nodes.append(_text(data, field, _NODE_NAME))
        elif field.number == _INITIALIZER:
            weights.add(_text(data, field, _TENSOR_NAME))
        elif field.number == _INPUT:
            inputs.append(_tensor_info(data, field))
        elif field.number == _OUTPUT:
            outputs.append(_tensor_info(data, field))
    # Before IR version 4 every weight had to be listed as an input, too.
    inputs = [tensor for tensor in inputs if tensor.name not in weights]
    if not (inputs and outputs and first_nodes):
        raise ValueError("its graph lacks inputs, outputs or nodes")
    return OnnxHeader(tuple(inputs), tuple(outputs), tuple(first_nodes))


def _tensor_info(data: mmap.mmap, value: _Field) -> TensorInfo:
    found: _Field | None = value
    for number in (_VALUE_TYPE, _TENSOR_TYPE, _SHAPE):
        found = found and _find(data, found, number)
    shape = found and tuple(
        _dimension(data, axis) for axis in _message(data, found) if axis.number == _DIM
    )
    return TensorInfo(_text(data, value, _VALUE_NAME), shape)


def _dimension(data: mmap.mmap, axis: _Field) -> int | None:
    value = _find(data, axis, _DIM_VALUE)
    # Exporters also write "unknown" as 0 or as -1, which is 2**64 - 1 on the wire.
    return value.start if value and 0 < value.start < 2**63 else None


def _text(data: mmap.mmap, message: _Field, number: int) -> str:
    field = _find(data, message, number)
    return data[field.start : field.end].decode() if field else ""


def _find(data: mmap.mmap, message: _Field, number: int) -> _Field | None:
    return next((f for f in _message(data, message) if f.number == number), None)


def _message(data: mmap.mmap, field: _Field) -> Iterator[_Field]:
    if field.end < 0:
        raise ValueError(f"field {field.number} is a number where a message should be")
    return _fields(data, field.start, field.end)


def _fields(data: mmap.mmap, position: int, end: int) -> Iterator[_Field]:
    """The fields of the message at `data[position:end]`, in order, not descending."""
    while position < end:
        key, position = _varint(data, position)
        number, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value, position = _varint(data, position)
            field = _Field(number, value, -1)
        else:
            if wire_type == 2:
                size, position = _varint(data, position)
            elif wire_type in (1, 5):
                size = 8 if wire_type == 1 else 4
            else:
                raise ValueError(f"wire type {wire_type} at byte {position}")
            field = _Field(number, position, position + size)
            position += size
        if position > end or number == 0:
            raise ValueError(f"a field ends at byte {position}, its message at byte {end}")
        yield field


def _varint(data: mmap.mmap, position: int) -> tuple[int, int]:
    """The number at `position`, seven bits a byte, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError(f"a number at byte {position} does not end")
