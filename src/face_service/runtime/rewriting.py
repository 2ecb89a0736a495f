"""How a network is changed before it is loaded, for providers that want it otherwise than it was
exported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .editing import Axes, EditableGraph
from .free_batch import MixesImages, free_batch
from .graph import Shape
from .pixel_input import Normalization, take_pixels


@dataclass(frozen=True, slots=True)
class Edits:
    """Changes of a network: `free_batch`, and `take_pixels` with this normalization."""

    free_batch: bool = False
    normalization: Normalization | None = None

    def __bool__(self) -> bool:
        return self.free_batch or self.normalization is not None

    def input_shape(self, shape: Axes) -> tuple[int | None, ...]:
        """The shape of the input afterwards, of a network whose input has the `shape` [n, channels,
        height, width]."""
        rows, channels, height, width = shape
        if self.normalization is None:
            return (rows, channels, height, width)
        return (rows, height, width, channels)


def rewritten(path: Path, edits: Edits = Edits(), shape: Shape | None = None) -> bytes:  # noqa: B008
    """The network in the file `path` with `edits`.

    shape: to which its input is fixed afterwards; None leaves it as it is. Raises MixesImages, and
    ValueError for what is no network of one input.
    """
    graph = EditableGraph(path.read_bytes())
    if edits.free_batch:
        free_batch(graph)
    if edits.normalization:
        take_pixels(graph, edits.normalization)
    if shape:
        graph.set_input(shape)
    return graph.to_bytes()


def why_not_batched(path: Path) -> str | None:
    """Why `free_batch` cannot be done to the network in the file `path`; None where it can."""
    try:
        free_batch(EditableGraph(path.read_bytes()))
    except MixesImages as error:
        return str(error)
    return None
