"""How a network is changed before it is loaded, for providers that want it otherwise than it was
exported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .editing import EditableGraph
from .free_batch import MixesImages, free_batch
from .free_size import DependsOnSize, free_size
from .graph import Shape
from .pixel_input import Normalization, take_pixels

EDITION = 1
"""Version of the nodes that this package writes into a graph, part of the name of a program's
folder: to be raised with every change of them, so that no program compiled of others is used."""


@dataclass(frozen=True, slots=True)
class Edits:
    """Changes of a network: `free_size`, `free_batch`, and `take_pixels` with this
    normalization."""

    free_batch: bool = False
    normalization: Normalization | None = None
    free_size: bool = False

    def __bool__(self) -> bool:
        return self.free_batch or self.free_size or self.normalization is not None

    def input_shape(self, rows: int, channels: int, height: int, width: int) -> Shape:
        """The shape of the input afterwards, where it was [rows, channels, height, width]."""
        if self.normalization is None:
            return (rows, channels, height, width)
        return (rows, height, width, channels)


NO_EDITS = Edits()


def rewritten(path: Path, edits: Edits = NO_EDITS, shape: Shape | None = None) -> bytes:
    """The network in the file `path` with `edits`.

    shape: to which its input is fixed afterwards; None leaves it as it is. Raises MixesImages,
    DependsOnSize, OSError where the file cannot be read, and ValueError or IndexError for what is
    no network of one input.
    """
    graph = EditableGraph(path.read_bytes())
    if edits.free_size:
        free_size(graph)
    if edits.free_batch:
        free_batch(graph)
    if edits.normalization:
        take_pixels(graph, edits.normalization)
    if shape:
        graph.set_input(shape)
    return graph.to_bytes()


def why_not_batched(path: Path) -> str | None:
    """Why `free_batch` cannot be done to the network in the file `path`; None where it can. Raises
    as `rewritten` for any other reason."""
    try:
        free_batch(EditableGraph(path.read_bytes()))
    except MixesImages as error:
        return str(error)
    return None


def why_not_free(path: Path) -> str | None:
    """Why `free_size` cannot be done to the network in the file `path`; None where it can. Raises
    as `rewritten` for any other reason."""
    try:
        free_size(EditableGraph(path.read_bytes()))
    except DependsOnSize as error:
        return str(error)
    return None
