"""NVIDIA, through CUDA and cuDNN."""

from __future__ import annotations

from .base import ArenaGpu, Options, ProgramSpec, RuntimeConfig


class Cuda(ArenaGpu):
    """Names and values: "Configuration Options" in
    docs/execution-providers/CUDA-ExecutionProvider.md of microsoft/onnxruntime; every one of
    `known_options` is in libonnxruntime_providers_cuda.so of onnxruntime-gpu 1.31.1.

    The compute stream is ONNX Runtime's own: every session has one and every worker its own
    sessions, so workers do not wait for each other. `user_compute_stream` would be a stream that
    the caller has made.
    """

    name = "CUDAExecutionProvider"
    package = "onnxruntime-gpu"
    where = ", which EXTRA=cuda ./run.sh installs with CUDA and cuDNN"
    library = "cuda"
    libraries = (
        "The extra cuda (EXTRA=cuda ./run.sh) brings CUDA and cuDNN; nvidia-smi shows the driver "
        "and the card"
    )
    known_options = frozenset(
        {
            "arena_extend_strategy", "cudnn_conv1d_pad_to_nc1d", "cudnn_conv_algo_search",
            "cudnn_conv_use_max_workspace", "device_id", "do_copy_in_default_stream",
            "enable_cuda_graph", "enable_cudnn", "enable_skip_layer_norm_strict_mode",
            "fuse_conv_bias", "gpu_external_alloc", "gpu_external_empty_cache", "gpu_external_free",
            "gpu_mem_limit", "has_user_compute_stream", "prefer_nhwc", "sdpa_kernel",
            "tunable_op_enable", "tunable_op_max_tuning_duration_ms", "tunable_op_tuning_enable",
            "use_ep_level_unified_stream", "use_tf32", "user_compute_stream",
        }
    )  # fmt: skip

    def options(self, config: RuntimeConfig, program: ProgramSpec) -> Options:
        """cudnn_conv_algo_search: EXHAUSTIVE, the default, tries every algorithm anew for every
        shape, with the memory of the one that takes most. use_tf32: on by default, it rounds the
        factors of every product to 10 bits, and what is called fp32 would not be. Retired by
        changed defaults (microsoft/onnxruntime#19838 for the first, no issue known for the
        other)."""
        return {
            **super().options(config, program),
            "cudnn_conv_algo_search": "HEURISTIC",
            "use_tf32": "False",
        }

    def prepare(self) -> None:
        """Load CUDA and cuDNN from the packages `nvidia-…`, where pip installed them beside ONNX
        Runtime and the system's linker would not look."""
        import onnxruntime  # settings are read where it is missing, too

        if hasattr(onnxruntime, "preload_dlls"):  # from 1.21 on
            onnxruntime.preload_dlls()
