"""AMD, through ROCm up to 7.0; ONNX Runtime has no such provider from 1.23 on."""

from __future__ import annotations

from .base import ArenaGpu, Options, ProgramSpec, RuntimeConfig


class Rocm(ArenaGpu):
    """Names and values: docs/execution-providers/ROCm-ExecutionProvider.md and struct
    OrtROCMProviderOptions of onnxruntime_c_api.h of microsoft/onnxruntime. It goes with the support
    of ROCm up to 7.0."""

    name = "ROCMExecutionProvider"
    package = "onnxruntime-rocm"
    where = " for ROCm 6.x-7.0"
    library = "rocm"
    libraries = "ROCm brings them: LD_LIBRARY_PATH=/opt/rocm/lib, and rocm-smi shows the card"
    known_options = frozenset(
        {
            "arena_extend_strategy", "device_id", "do_copy_in_default_stream", "enable_hip_graph",
            "gpu_external_alloc", "gpu_external_empty_cache", "gpu_external_free", "gpu_mem_limit",
            "has_user_compute_stream", "miopen_conv_exhaustive_search",
            "miopen_conv_use_max_workspace", "tunable_op_enable",
            "tunable_op_max_tuning_duration_ms", "tunable_op_tuning_enable", "user_compute_stream",
        }
    )  # fmt: skip

    def options(self, config: RuntimeConfig, program: ProgramSpec) -> Options:
        """miopen_conv_exhaustive_search: off, which is the default: a search takes minutes for each
        shape, at every start."""
        return {**super().options(config, program), "miopen_conv_exhaustive_search": "False"}
