"""Networks that take the pixels of images, and normalise them themselves.

A card is given a quarter of the bytes that floats would be, and the processor computes nothing.
The arithmetic is that of `vision.blob.to_blob`, in the same order: the floats are the same to the
bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .editing import EditableGraph, Node, new_node, renamed
from .graph import FLOAT, UINT8

PREFIX = "face_service_input"
"""Begins the names of what is added: networks have none like it."""


@dataclass(frozen=True, slots=True)
class Normalization:
    """`(x − mean) / std` of pixels x, 0 to 255, whose channels are in `order`, as `mean` is."""

    mean: tuple[float, float, float]
    std: float
    order: Literal["rgb", "bgr"] = "rgb"


def take_pixels(graph: EditableGraph, normalization: Normalization) -> None:
    """Make the input uint8 [n, height, width, 3], channels in OpenCV's order (blue, green, red).

    graph: of a network whose input is float32 [n, 3, height, width], normalised by `normalization`.
    """
    rows, _, height, width = graph.input.shape or (None,) * 4
    added: list[Node] = []
    value = graph.input.name

    def then(operator: str, *more: str, **attributes: int | tuple[int, ...]) -> None:
        nonlocal value
        inputs, value = (value, *more), f"{PREFIX}_{len(added)}"
        added.append(new_node(operator, inputs, (value,), **attributes))

    # First of all to floats: TensorRT takes uint8 as the input of a cast alone.
    then("Cast", to=FLOAT)
    then("Transpose", perm=(0, 3, 1, 2))
    if normalization.order == "rgb":
        reverse = graph.add_constant(f"{PREFIX}_order", np.array([2, 1, 0], np.int64))
        then("Gather", reverse, axis=1)
    if any(normalization.mean):
        mean = np.array(normalization.mean, np.float32).reshape(3, 1, 1)
        then("Sub", graph.add_constant(f"{PREFIX}_mean", mean))
    if normalization.std != 1:
        scale = np.array(1 / normalization.std, np.float32)
        then("Mul", graph.add_constant(f"{PREFIX}_scale", scale))
    graph.nodes = added + [
        node.with_inputs(renamed(node.inputs, graph.input.name, value))
        if graph.input.name in node.inputs
        else node
        for node in graph.nodes
    ]
    graph.set_input((rows, height, width, 3), UINT8)
