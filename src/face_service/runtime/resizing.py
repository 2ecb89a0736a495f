"""Networks for one size of image, made to take another."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from .editing import EditableGraph, Node, renamed
from .files import publish_file
from .free_batch import ELEMENTWISE, PER_IMAGE
from .providers import CPU, RuntimeConfig

logger = logging.getLogger(__name__)

PER_PLACE = PER_IMAGE - {"GlobalAveragePool", "GlobalMaxPool", "InstanceNormalization"}
"""Operators that compute every place of a picture from the places around it, and no constant of
which has the size of the picture."""
ANY_SIZE = PER_PLACE | {"Concat", "Constant", "Transpose", "Upsample"}
"""Operators that need no change for a picture of another size."""
PREFIX = "face_service_size"
"""Begins the names of what is added: networks have none like it."""


class HasSize(ValueError):
    """A network that is not known to work at another size, and why."""


def resized_network(path: Path, sha256: str, side: int, config: RuntimeConfig) -> Path | None:
    """The network in the file `path`, of SHA-256 `sha256`, for an input of `side`×`side` pixels in
    place of the square that it is for; kept beside the compiled programs.

    None where it cannot be made: the graph has its size in it, is none that `EditableGraph` reads,
    or the disk cannot be written.
    """
    folder = config.cache / "sizes" / f"{sha256[:16]}-{onnxruntime.__version__}"
    made = folder / f"{path.stem}-{side}.onnx"
    try:
        if made.exists():
            return made
        content = resized(path.read_bytes(), side)
        run_once(content, side)
        folder.mkdir(parents=True, exist_ok=True)
        publish_file(made, content)
    except (OSError, ValueError, IndexError) as error:  # HasSize among them
        logger.info("%s is not computed at %d pixels: %s", path.name, side, error)
        return None
    return made


def run_once(content: bytes, side: int) -> None:
    """Run a network once on the CPU, on zeros, float32 [1, 3, side, side]. Raises HasSize where
    that fails."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(content, options, providers=[CPU])
        (given,) = session.get_inputs()
        session.run(None, {given.name: np.zeros((1, 3, side, side), np.float32)})
    except Exception as error:  # whatever ONNX Runtime raises
        raise HasSize(f"it does not run at {side} pixels: {error}") from error


def resized(data: bytes, side: int) -> bytes:
    """The network `data`, a ModelProto whose input is [n, 3, a, a], for [n, 3, side, side].

    Raises HasSize where a node is not known to work at any size, by its operator and its constants,
    and as `EditableGraph`.
    """
    graph = EditableGraph(data)
    shape = graph.input.shape
    if shape is None or len(shape) != 4 or None in shape[2:] or shape[2] != shape[3]:
        raise HasSize("its input is no square of one size")
    constants = {node.outputs[0]: node for node in graph.nodes if node.operator == "Constant"}

    def scaled(length: int) -> int:
        whole, rest = divmod(length * side, shape[2] or 1)
        if rest:
            raise HasSize(f"{length} pixels of it are no whole number of them at {side}")
        return whole

    def ints(name: str) -> list[int] | None:
        value = constants[name].constant if name in constants else graph.constant(name)
        return None if value is None or value.dtype != np.int64 else value.tolist()

    def dims(name: str) -> tuple[int, ...]:
        return (constants[name].dims if name in constants else graph.dims(name)) or ()

    graph.nodes = [changed(node, graph, scaled, ints, dims) for node in graph.nodes]
    graph.set_input((*shape[:2], side, side))
    return graph.to_bytes()


def changed(
    node: Node,
    graph: EditableGraph,
    scaled: Callable[[int], int],
    ints: Callable[[str], list[int] | None],
    dims: Callable[[str], tuple[int, ...]],
) -> Node:
    """A node as it is for another size of the picture; what it needs is added to `graph`.

    scaled: a length in pixels at that size. ints: a constant by name, None where it is not of
    int64. dims: the sides of a constant, empty where there is none. Raises HasSize.
    """
    if node.operator in ANY_SIZE:
        return node
    if node.operator in ELEMENTWISE:
        if any(len(dims(name)) > 2 and max(dims(name)[-2:]) > 1 for name in node.inputs):
            raise HasSize(f"{node.name} has a constant of the size of the picture")
        return node
    if node.operator == "Reshape" and -1 in (ints(node.inputs[1]) or ()):
        return node
    if node.operator == "Resize" and len(node.inputs) < 4:
        return node
    if node.operator == "Resize" and (sizes := ints(node.inputs[3])) and len(sizes) == 4:
        values = np.array([*sizes[:2], *map(scaled, sizes[2:])], np.int64)
        name = graph.add_constant(f"{PREFIX}_{node.outputs[0]}", values)
        return node.with_inputs(renamed(node.inputs, node.inputs[3], name))
    raise HasSize(f"{node.name} is a {node.operator}")
