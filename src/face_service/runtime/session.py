"""Sessions of ONNX Runtime that answer requests: the only place that makes these."""

from __future__ import annotations

import ctypes
import logging
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from face_service.errors import ProviderError

from .arena import use_shared_arena
from .binding import FixedBuffers, why_no_buffers
from .child_folder import discard
from .placement import Placement, PlacementProbe, Profile, graph_assignment
from .programs import SessionSpec
from .providers import CPU, PROVIDERS, ProgramSpec, Provider, RuntimeConfig

logger = logging.getLogger(__name__)

RECORD = "session.record_ep_graph_assignment_info"
"""onnxruntime_session_options_config_keys.h, kOrtSessionOptionsRecordEpGraphAssignmentInfo."""


class OpenSession:
    """An onnxruntime.InferenceSession, and the program it computes. placement: nodes by provider,
    None before the first run. buffers: on the card, None where its runs use none. mapped: whether
    its weights are (`mapped`). Without buffers any number of threads may run it at the same time.
    """

    def __init__(
        self,
        session: Any,
        program: ProgramSpec,
        probe: PlacementProbe,
        buffers: FixedBuffers | None = None,
        mapped: bool = False,
    ) -> None:
        self.session = session
        self.mapped = mapped
        self.shapes = frozenset(program.shapes)
        self.buffers = buffers
        self._input_name = program.input_name
        self.placement: Placement | None = None
        self._probe = probe

    def run(self, blob: NDArray[Any], *options: Any) -> list[NDArray[np.float32]]:
        """All outputs for an input. options: onnxruntime.RunOptions, or none."""
        if self.buffers is not None:
            outputs = self.buffers.run(blob, *options)
        else:
            outputs = self.session.run(None, {self._input_name: blob}, *options)
        if self.placement is None:
            self.placement = Counter(self._probe(self.session))
        return outputs


def open_spec(spec: SessionSpec, providers: Sequence[str], config: RuntimeConfig) -> OpenSession:
    """Open the session that `spec` describes; raises as `open_session`. One of a single thread on a
    saved network is taken from `config.single_threaded`, or added to it."""
    if spec.saved is not None:
        shared = config.single_threaded if config.threads == 1 else {}
        opened: OpenSession | None = shared.get(spec.saved)
        try:
            if opened is None:
                opened = open_session(spec.saved, providers, config, spec.program, optimized=True)
                shared[spec.saved] = opened
            return opened
        except Exception as error:
            logger.warning("%s is saved again at the next start: %s", spec.label, error)
            discard(spec.saved.parent)
    with spec.file() as path:
        return open_session(path, providers, config, spec.program)


def open_session(
    path: Path,
    providers: Sequence[str],
    config: RuntimeConfig,
    program: ProgramSpec,
    optimized: bool = False,
) -> OpenSession:
    """Load the ONNX file `path` onto `providers`.

    program: its input's shapes and, where a provider keeps what it compiles, the folder. optimized:
    the graph was optimised when it was saved (`mapped`), and is not optimised again. Raises
    ProviderError with the reason if the file does not load, or if ONNX Runtime left a provider out,
    which it does with a mere warning when a library is missing. Where the CPU is the only provider,
    ONNX Runtime's own error is raised for a file that does not load.
    """
    options = session_options(config.threads)
    if optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    probe = enable_placement_probe(options, providers)
    for name in providers:
        PROVIDERS[name].adjust(options)
    if tuple(providers) == (CPU,):
        use_shared_arena(options)
        # A memory pattern puts all activations of a run into one block, which the arena takes on
        # top of the many blocks of the first run of a shape: docs/decisions/0012.
        options.enable_mem_pattern = False
    try:
        session = onnxruntime.InferenceSession(
            path,
            options,
            providers=[(name, PROVIDERS[name].options_for(config, program)) for name in providers],
            # Without this, ONNX Runtime's Python computes on the CPU when a provider fails, at the
            # start or in any later run, for ever, and says so on stdout. Retired by
            # microsoft/onnxruntime#23372.
            enable_fallback=0,
        )
    except Exception as error:
        if tuple(providers) == (CPU,):  # then the fault is the file's, not a provider's
            raise
        libraries = PROVIDERS[providers[0]].libraries
        advice = f". {libraries}" if libraries and "librar" in str(error) else ""
        reason = in_public(error)
        raise ProviderError(f"{providers[0]} cannot load {path.name}: {reason}{advice}") from error
    # Retired by an error of InferenceSession's in place of its warning; no issue known.
    taken = session.get_providers()
    for name in providers:
        if name not in taken:
            raise ProviderError(
                f"{path.name}: ONNX Runtime could not load {name} and would compute on "
                f"{', '.join(taken)} instead: {why_not_loaded(PROVIDERS[name])}"
            )
    buffers = fixed_buffers(session, providers, config, program)
    return OpenSession(session, program, probe, buffers, mapped=optimized)


def fixed_buffers(
    session: Any, providers: Sequence[str], config: RuntimeConfig, program: ProgramSpec
) -> FixedBuffers | None:
    """Buffers on the card of the first provider; None where it has none, or gives none."""
    provider = PROVIDERS[providers[0]]
    if provider.device_memory is None or no_buffers(provider, config) is not None:
        return None
    card = int(provider.card(config) or 0)
    return FixedBuffers(session, program.input_name, provider.device_memory, card)


def no_buffers(provider: Provider, config: RuntimeConfig) -> str | None:
    """The warning that ONNX Runtime gives no memory on a provider's card; None where it does, and
    for a provider that has no card's memory."""
    if provider.device_memory is None:
        return None
    why = why_no_buffers(provider.device_memory, int(provider.card(config) or 0))
    return why and f"{provider.name} is given its input anew in every run: {why}"


def in_public(error: Exception) -> str:
    """ONNX Runtime's message on one line, without the name of the host, which CUDA's errors
    contain (`hostname=`, cuda_call.cc; no issue known): /health shows it to callers without a
    key."""
    return " ".join(re.sub(r"; hostname=\S*", "", str(error)).split())


def session_options(threads: int) -> Any:
    """onnxruntime.SessionOptions for a network on `threads` intra-op threads."""
    # For Windows, whose builds report through the system whatever ORT_DISABLE_TELEMETRY says.
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Worker threads that spin steal time from the next session, from decoding, from whatever
    # else runs on the machine, and from a container's CPU quota: docs/decisions/0012.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Official SCRFD exports declare the output shapes of a 640×640 canvas; ONNX Runtime
    # warns at every run on another. The files stay as they are, and so does this.
    options.log_severity_level = 3
    return options


def enable_placement_probe(options: Any, providers: Sequence[str]) -> PlacementProbe:
    """Make a session report on which provider each node runs.

    options: onnxruntime.SessionOptions of the session to open, which are changed. Returns the
    function that reads the report; to be called once, after the session's first run.

    ONNX Runtime has an interface for it from 1.24 on. Older builds, the only ones with ROCm's
    provider, are profiled, unless the CPU is the only provider: then the report is empty. Retired,
    and `Profile` with it, by the end of the support of ROCm up to 7.0.
    """
    if hasattr(onnxruntime, "OrtEpAssignedSubgraph"):
        options.add_session_config_entry(RECORD, "1")
        return graph_assignment
    if tuple(providers) == (CPU,):
        return lambda _: {}
    return Profile(options).end


def why_not_loaded(provider: Provider) -> str:
    """The linker's error for a provider's library and how to install what is missing. ONNX Runtime
    writes the former to its own log only; no issue known."""
    if provider.library is None:
        return "check the drivers"
    folder = Path(onnxruntime.__file__).parent / "capi"
    try:
        ctypes.CDLL(str(folder / f"libonnxruntime_providers_{provider.library}.so"))
    except OSError as error:
        return f"{error}. {provider.libraries}"
    return f"its libraries are there, so look at the card and its driver. {provider.libraries}"
