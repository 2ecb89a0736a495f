"""Windows' DirectML: any card with DirectX 12."""

from __future__ import annotations

from typing import Any

from ..policy import FIXED
from .base import Options, ProgramSpec, Provider, RuntimeConfig


class DirectMl(Provider):
    """docs/execution-providers/DirectML-ExecutionProvider.md of microsoft/onnxruntime: neither
    memory patterns nor parallel execution, one run at a time on a session, and fastest where every
    shape is known when a session is made. Runs on two sessions at once have failed as well:
    microsoft/onnxruntime#25577, whose end, or that of #22147, retires `one_at_a_time`."""

    name = "DmlExecutionProvider"
    package = "onnxruntime-directml"
    where = " for Windows"
    known_options = frozenset(
        {"device_filter", "device_id", "disable_metacommands", "performance_preference"}
    )
    shapes = FIXED
    precisions = frozenset({"fp32", "fp16", "int8"})
    halves_file = True
    one_at_a_time = True

    def options(self, config: RuntimeConfig, program: ProgramSpec) -> Options:
        """The card alone; the rest is DirectML's defaults."""
        return {"device_id": str(config.device)}

    def adjust(self, session_options: Any) -> None:
        """Switch off memory patterns and parallel execution: it works with neither."""
        import onnxruntime  # settings are read where it is missing, too

        session_options.enable_mem_pattern = False
        session_options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
