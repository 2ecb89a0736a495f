"""One network, loaded: the only place that touches an ONNX Runtime session."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from face_service.errors import InferenceFailed, ProviderError

from .precision import Precision
from .providers import CPU, provider_options

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]

MAX_BATCH = 8
"""Crops in one run at most. A batch spares a fifth of the time of a face and costs about
20 MB of activations a face, which stay taken: 8 at once through a ResNet-50 hold 160 MB."""


class Network:
    """A network with one input, float32 [n, 3, height, width].

    `input_shape` is the graph's own, None where it is free. `last_run` is when a run last
    ended, on time.monotonic(). `run` may be called from one thread at a time.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self.last_run = 0.0
        graph_input = session.get_inputs()[0]
        self._input_name = graph_input.name
        self.input_shape: tuple[int | None, ...] = tuple(
            dim if isinstance(dim, int) and dim > 0 else None for dim in graph_input.shape
        )

    @property
    def providers(self) -> tuple[str, ...]:
        """The execution providers ONNX Runtime took for this session, in order."""
        return tuple(self._session.get_providers())

    def run(self, blob: Floats) -> list[Floats]:
        """Every output for one input, in the order of the graph.

        Raises InferenceFailed for NaN and infinity: comparisons would take them for "no face".
        """
        outputs: list[Floats] = self._session.run(None, {self._input_name: blob})
        self.last_run = time.monotonic()
        if not all(np.isfinite(output).all() for output in outputs):
            raise InferenceFailed("A network gave numbers that are not finite")
        return outputs

    def run_batched(self, blob: Floats) -> list[Floats]:
        """Every output for a blob of any length, in runs the graph allows.

        A graph whose first axis is fixed gets exactly that many rows a run; the last run is
        filled up with zeros, whose answers are dropped.
        """
        fixed = self.input_shape[0]
        step = fixed or MAX_BATCH
        parts = []
        for start in range(0, len(blob), step):
            part = blob[start : start + step]
            rows = len(part)
            if fixed and rows < fixed:
                part = np.concatenate((part, np.zeros((fixed - rows, *part.shape[1:]), np.float32)))
            parts.append([output[:rows] for output in self.run(part)])
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]


def load_network(
    path: Path, providers: Sequence[str], threads: int, precision: Precision = "fp32"
) -> Network:
    """Load an ONNX file onto `providers`, with `threads` intra-op threads on the CPU.

    Raises ProviderError if a provider was asked for and ONNX Runtime left it out, which it
    does with a mere warning when a library of the provider is missing.
    """
    # Some builds report usage to Microsoft unless told not to.
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Worker threads that spin steal time from the next session, from decoding, from whatever
    # else runs on the machine, and from a container's CPU quota: docs/decisions/0012.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Official SCRFD exports declare the output shapes of a 640×640 canvas; ONNX Runtime
    # warns at every run on another.
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        path,
        options,
        providers=[(name, provider_options(name, precision, threads)) for name in providers],
    )
    left_out = [name for name in providers if name not in session.get_providers()]
    if left_out:
        instead = (
            f"{path.name}: ONNX Runtime could not load {', '.join(left_out)} and computes on "
            f"{', '.join(session.get_providers())} instead; check the drivers and libraries"
        )
        if CPU not in providers:
            raise ProviderError(f"{instead}, or add {CPU} to ONNX_PROVIDERS to allow it")
        if precision == "bf16":  # falling back would be fp32 under another name
            raise ProviderError(f"{instead}, or set PRECISION=fp32")
        logger.warning("%s", instead)
    return Network(session)
