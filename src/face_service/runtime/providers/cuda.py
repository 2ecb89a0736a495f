"""NVIDIA, through CUDA and cuDNN."""

from __future__ import annotations

from ..policy import BOUNDED
from .base import CompiledModel, Options, Provider, RuntimeConfig


class Cuda(Provider):
    """Names and values: "Configuration Options" in
    docs/execution-providers/CUDA-ExecutionProvider.md of microsoft/onnxruntime; every one of
    `known_options` is in libonnxruntime_providers_cuda.so of onnxruntime-gpu 1.31.1.

    The compute stream is ONNX Runtime's own: every session has one, a lane has sessions of its own,
    so lanes do not wait for each other. `user_compute_stream` wants a stream made by somebody else.
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
    shapes = BOUNDED
    precisions = frozenset({"fp32", "fp16", "int8"})
    halves_file = True
    shrinks = True

    def options(self, setup: RuntimeConfig, program: CompiledModel) -> Options:
        """
        cudnn_conv_algo_search: EXHAUSTIVE, the default, tries every algorithm anew for every shape,
        with as much memory as the hungriest takes. arena_extend_strategy: only blocks that were
        taken as requested can be given back whole. use_tf32: on by default, it rounds the factors
        of every product to 10 bits, and what is called fp32 would not be.
        """
        limit = {"gpu_mem_limit": str(setup.memory_limit)} if setup.memory_limit else {}
        return {
            "device_id": str(setup.device),
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",
            "use_tf32": "False",
            **limit,
        }

    def prepare(self) -> None:
        """Load CUDA and cuDNN from the packages `nvidia-…`, where pip installed them beside ONNX
        Runtime and the system's linker would not look."""
        import onnxruntime  # settings are read where it is missing, too

        if hasattr(onnxruntime, "preload_dlls"):  # from 1.21 on
            onnxruntime.preload_dlls()
