"""AMD, through MIGraphX: a program for every shape, compiled before the first request."""

from __future__ import annotations

from pathlib import Path

from ..policy import FIXED
from .base import Options, ProgramSpec, Provider, RuntimeConfig

NODES = Path("/sys/class/kfd/kfd/topology/nodes")
"""The kernel driver's list of processors and cards, a folder each."""
ROCM_VERSION = Path("/opt/rocm/.info/version")
"""A file with the version of ROCm that is installed."""


class MiGraphX(Provider):
    """Names and values: onnxruntime/core/providers/migraphx/migraphx_execution_provider_info.h of
    microsoft/onnxruntime; every one of `known_options` is in libonnxruntime_providers_migraphx.so
    of onnxruntime-migraphx 1.27.1.

    Compiling has taken 35 minutes (ROCm/AMDMIGraphX#4164), has not ended (#4029) and has crashed
    the process (#3760, immich-app/immich#28330); programs compiled or run side by side have
    captured each other's streams (ROCm/onnxruntime#243). What retires `compiles`, `one_at_a_time`
    and the fixed shapes: docs/decisions/0019-compiled-programs.md.
    """

    name = "MIGraphXExecutionProvider"
    package = "onnxruntime-migraphx"
    where = " for ROCm 7.1 and later"
    library = "migraphx"
    libraries = (
        "ROCm and its package migraphx bring them: LD_LIBRARY_PATH=/opt/rocm/lib, and rocm-smi "
        "shows the card"
    )
    known_options = frozenset(
        {
            "device_id", "migraphx_arena_extend_strategy", "migraphx_bf16_enable",
            "migraphx_exhaustive_tune", "migraphx_external_alloc", "migraphx_external_empty_cache",
            "migraphx_external_free", "migraphx_fp16_enable", "migraphx_fp8_enable",
            "migraphx_int8_calibration_table_name", "migraphx_int8_enable",
            "migraphx_int8_use_native_calibration_table", "migraphx_mem_limit",
            "migraphx_model_cache_dir",
        }
    )  # fmt: skip
    shapes = FIXED
    precisions = frozenset({"fp32", "fp16", "bf16", "int8"})
    compiles = True
    one_at_a_time = True
    device_memory = "cuda"  # ONNX Runtime's name for it
    image_batches = (1, 4)  # each costs a program of every canvas

    def options(self, config: RuntimeConfig, program: ProgramSpec) -> Options:
        """migraphx_model_cache_dir keeps programs; without migraphx_fp16_enable or
        migraphx_bf16_enable it computes fp32."""
        half = config.precision if config.precision in ("fp16", "bf16") else None
        return {
            "device_id": str(config.device),
            "migraphx_model_cache_dir": str(program.folder),
            **({f"migraphx_{half}_enable": "True"} if half else {}),
            **({"migraphx_mem_limit": str(config.memory_limit)} if config.memory_limit else {}),
        }

    def architecture(self) -> str:
        """ROCm's version and the cards, as the kernel driver numbers them: `7.1.1-110000`."""
        cards = [
            value
            for file in sorted(NODES.glob("*/properties"))
            for name, _, value in (line.partition(" ") for line in file.read_text().splitlines())
            if name == "gfx_target_version" and value != "0"  # 0: a CPU
        ]
        version = ROCM_VERSION.read_text().strip() if ROCM_VERSION.exists() else "unknown"
        return "-".join((version, *cards))
