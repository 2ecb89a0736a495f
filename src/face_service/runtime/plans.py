"""How a provider computes a network: its shapes, its sessions, and what is changed in its graph."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from .graph import UINT8, TensorInfo, read_input
from .half import half_precision
from .mapped import mapped_network
from .pixel_input import Normalization
from .policy import ShapePolicy
from .programs import SessionSpec, specs_for
from .providers import Provider, RuntimeConfig
from .rewriting import NO_EDITS, Edits, why_not_batched

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A network to load.

    path: the ONNX file, of SHA-256 `sha256` in hexadecimal. sizes: every (height, width) in pixels
    that its input will have; empty for the one that the graph fixes. single: one image a run,
    whatever the graph says, except on a card for which it can be rewritten. normalization: of its
    input, which a card computes by itself; None where the network is always given floats.
    free_size: its graph declares one height and width, which are to be free (`free_size`).
    """

    path: Path
    sha256: str
    sizes: tuple[tuple[int, int], ...] = ()
    single: bool = False
    normalization: Normalization | None = None
    free_size: bool = False


class Plan(NamedTuple):
    """How a network is computed: its graph's own input, the shapes it is given, the sessions, what
    is changed in its graph, and warnings about it."""

    graph_input: TensorInfo
    policy: ShapePolicy
    sessions: list[SessionSpec]
    edits: Edits
    warnings: tuple[str, ...]

    @property
    def maps_weights(self) -> bool:
        """Whether all sessions open a saved network."""
        return all(session.saved for session in self.sessions)


def plan_network(spec: NetworkSpec, provider: Provider, config: RuntimeConfig) -> Plan:
    """How `provider` computes a network.

    Raises ProviderError where its file in fp16 or the folder of a program cannot be made,
    ValueError where its input does not have four axes, and as `read_header`.
    """
    graph_input = read_input(spec.path)
    if graph_input.shape is None or len(graph_input.shape) != 4:
        raise ValueError(f"{spec.path.name}: its input does not have four axes")
    batch, channels, height, width = graph_input.shape
    if graph_input.kind == UINT8:  # pixels already
        spec = replace(spec, normalization=None)
    source = spec.path
    if config.precision == "fp16" and provider.halves_file:
        source = half_precision(source, spec.sha256, config)
    edits, warnings = edits_for(spec, source, batch, provider)
    if spec.free_size:
        edits = replace(edits, free_size=True)
        graph_input = TensorInfo(graph_input.name, (batch, channels, None, None), graph_input.kind)
    policy = provider.shapes_for(config)
    if not edits.free_batch:
        policy = policy.for_fixed_batch(1 if spec.single else batch)
    elif spec.single:
        policy = replace(policy, batches=provider.image_batches)
    sizes = spec.sizes or ((height or 0, width or 0),)
    shapes = [
        edits.input_shape(rows, channels or 3, *size) for rows in policy.batches for size in sizes
    ]
    specs = specs_for(source, spec.sha256, graph_input, shapes, provider, config, edits)
    if provider.maps_weights:
        with specs[0].file() as file:
            saved = mapped_network(file, spec.sha256, config)
        specs = [replace(one, saved=saved) for one in specs]
    return Plan(graph_input, policy, specs, edits, warnings)


def edits_for(
    spec: NetworkSpec, source: Path, batch: int | None, provider: Provider
) -> tuple[Edits, tuple[str, ...]]:
    """What is changed in the network in the file `source`, made of `spec`, before `provider` loads
    it; and warnings. batch: the rows that its graph takes, None for any."""
    if provider.device_memory is None:
        return NO_EDITS, ()
    edits = Edits(normalization=spec.normalization)
    if batch != 1 and not spec.single:
        return edits, ()
    reason = why_not_batched(source)
    if reason is None:
        return replace(edits, free_batch=True), ()
    warning = f"{spec.path.name} takes one image a run: {reason}"
    logger.warning("%s", warning)
    return edits, (warning,)
