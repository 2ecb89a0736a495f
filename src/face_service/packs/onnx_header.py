"""What an ONNX file says about itself: inputs, outputs, its first nodes. Weights stay on disk.

An ONNX file is one Protocol Buffers message. The few fields needed here are read straight
from the wire format; everything else, the weights above all, is stepped over in a memory
map, so a 250 MB network costs a few pages. Field numbers: `onnx.proto`, stable since IR 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from face_service.errors import PackError
from face_service.runtime.graph import (
    INITIALIZER,
    INPUT,
    NODE,
    OUTPUT,
    TENSOR_NAME,
    TensorInfo,
    graph_of,
    mapped,
    tensor_info,
)
from face_service.runtime.protobuf import Buffer, message, text

FIRST_NODES = 8  # how many nodes InsightFace looks at to tell a network's normalisation

_NODE_NAME = 3  # NodeProto


@dataclass(frozen=True, slots=True)
class OnnxHeader:
    """A network's inputs (without those that are weights), outputs and first node names."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    first_nodes: tuple[str, ...]


def read_header(path: Path) -> OnnxHeader:
    """Read the header of one ONNX file; PackError if it is not one, or is cut short."""
    try:
        with mapped(path) as data:
            return _read_model(data)
    except (ValueError, IndexError) as error:
        raise PackError(f"{path} is not a whole ONNX file: {error}.") from error
    except OSError as error:
        raise PackError(f"{path} cannot be read: {error.strerror}.") from error


def _read_model(data: Buffer) -> OnnxHeader:
    inputs: list[TensorInfo] = []
    outputs: list[TensorInfo] = []
    first_nodes: list[str] = []
    weights: set[str] = set()
    for field in message(data, graph_of(data)):
        if field.number == NODE and len(first_nodes) < FIRST_NODES:
            first_nodes.append(text(data, field, _NODE_NAME))
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
