"""NVIDIA, through TensorRT: engines built for this card, kept on disk."""

from __future__ import annotations

import os
import re
from importlib import metadata
from math import prod
from pathlib import Path

from ..graph import Shape
from ..policy import BOUNDED
from .base import Options, ProgramSpec, RuntimeConfig
from .cuda import Cuda

DRIVER = Path("/proc/driver/nvidia")
"""What NVIDIA's kernel module says of itself and of the cards."""
PACKAGES = ("tensorrt-cu13", "tensorrt-cu12", "tensorrt")
"""Packages on PyPI of which one brings TensorRT."""
LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64")
"""Where NVIDIA's packages for Debian and Red Hat put libnvinfer."""


class TensorRt(Cuda):
    """Names and values: docs/execution-providers/TensorRT-ExecutionProvider.md of
    microsoft/onnxruntime; every one of `known_options` is in libonnxruntime_providers_tensorrt.so
    of onnxruntime-gpu 1.31.1.
    """

    name = "TensorrtExecutionProvider"
    library = "tensorrt"
    libraries = (
        "pip install tensorrt-cu13 (or -cu12, as the CUDA of onnxruntime-gpu) brings TensorRT, and "
        "LD_LIBRARY_PATH must name its folder tensorrt_libs"
    )
    known_options = frozenset(
        {
            "device_id", "has_user_compute_stream", "trt_auxiliary_streams", "trt_bf16_enable",
            "trt_build_heuristics_enable", "trt_builder_optimization_level",
            "trt_context_memory_sharing_enable", "trt_cuda_graph_enable",
            "trt_detailed_build_log", "trt_dla_core", "trt_dla_enable",
            "trt_dump_ep_context_model", "trt_dump_subgraphs", "trt_engine_cache_enable",
            "trt_engine_cache_path", "trt_engine_cache_prefix", "trt_engine_decryption_enable",
            "trt_engine_decryption_lib_path", "trt_engine_hw_compatible",
            "trt_ep_context_embed_mode", "trt_ep_context_file_path",
            "trt_extra_plugin_lib_paths", "trt_force_sequential_engine_build",
            "trt_force_timing_cache", "trt_fp16_enable", "trt_int8_calibration_table_name",
            "trt_int8_enable", "trt_int8_use_native_calibration_table",
            "trt_layer_norm_fp32_fallback", "trt_load_user_initializer",
            "trt_max_partition_iterations", "trt_max_workspace_size", "trt_min_subgraph_size",
            "trt_onnx_model_folder_path", "trt_op_types_to_exclude", "trt_preview_features",
            "trt_profile_max_shapes", "trt_profile_min_shapes", "trt_profile_opt_shapes",
            "trt_sparsity_enable", "trt_tactic_sources", "trt_timing_cache_enable",
            "trt_timing_cache_path", "trt_weight_stripped_engine_enable", "user_compute_stream",
        }
    )  # fmt: skip
    shapes = BOUNDED
    compiles = True
    halves_file = False

    def options(self, config: RuntimeConfig, program: ProgramSpec) -> Options:
        """
        One engine holds every shape announced: trt_profile_min_shapes and trt_profile_max_shapes
        enclose them, trt_profile_opt_shapes is the one it is tuned for. A graph without a free axis
        has no profile. trt_engine_cache_path keeps engines, trt_timing_cache_path the times of
        kernels that were measured on the way, for the next network.
        """
        folder = str(program.folder)
        return {
            "device_id": str(config.device),
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": folder,
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": str(config.cache / "tensorrt"),
            "trt_fp16_enable": str(config.precision == "fp16"),
            **profile(program),
        }

    def architecture(self) -> str:
        """The versions of TensorRT and of the driver, and the cards' names in order:
        `10.9.0.34-550.54.15-NVIDIA L4`. An engine works with exactly these."""
        cards = [
            line.partition(":")[2].strip()
            for file in sorted(DRIVER.glob("gpus/*/information"))
            for line in file.read_text().splitlines()
            if line.startswith("Model:")
        ]
        return "-".join((tensorrt_version(), driver_version(), "+".join(cards) or "unknown"))


def driver_version() -> str:
    """The version of NVIDIA's kernel module, from the first line of its file `version`; "unknown"
    without it."""
    file = DRIVER / "version"
    found = re.search(r"  (\d+(?:\.\d+)+)  ", file.read_text()) if file.exists() else None
    return found[1] if found else "unknown"


def tensorrt_version() -> str:
    """The version of TensorRT: of the package from PyPI, else of a library libnvinfer on the
    linker's path; "unknown" without both."""
    for name in PACKAGES:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    named = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    for folder in (*filter(None, named), *LIBRARIES):
        for file in sorted(Path(folder).glob("libnvinfer.so.*.*.*")):
            return file.name.removeprefix("libnvinfer.so.")
    return "unknown"


def profile(program: ProgramSpec) -> dict[str, str]:
    """The options of the profile that encloses all shapes of a program; empty for one shape."""
    if len(program.shapes) == 1:
        return {}
    axes = list(zip(*program.shapes, strict=True))
    corners = {
        "trt_profile_min_shapes": tuple(map(min, axes)),
        "trt_profile_opt_shapes": usual(program.shapes),
        "trt_profile_max_shapes": tuple(map(max, axes)),
    }
    return {
        name: f"{program.input_name}:{'x'.join(map(str, shape))}" for name, shape in corners.items()
    }


def usual(shapes: tuple[Shape, ...]) -> Shape:
    """The shape an engine is tuned for: the median number of rows, and the size with the median
    number of values in a row."""
    rows = sorted({shape[0] for shape in shapes})
    sizes = sorted({shape[1:] for shape in shapes}, key=prod)
    return (rows[len(rows) // 2], *sizes[len(sizes) // 2])
