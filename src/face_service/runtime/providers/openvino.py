"""Intel's OpenVINO: on any x86 CPU, and on Intel's GPUs where ONNX_PROVIDER_OPTIONS asks for
one."""

from __future__ import annotations

import json
import re

from face_service.errors import ProviderError

from ..policy import BOUNDED_ON_CPU, FIXED, ShapePolicy
from .base import Options, ProgramSpec, Provider, RuntimeConfig

HINTS = {"fp32": "f32", "int8": "f32", "bf16": "bf16"}
"""INFERENCE_PRECISION_HINT by precision. It is always set: OpenVINO's default depends on its
version and on the processor. "f32" leaves quantised layers in int8. Retired by a default of f32; no
issue known."""

ONE_DEVICE = re.compile(r"(CPU|GPU|NPU)(\.\w+)?")
"""A `device_type` that is one device. AUTO, MULTI and HETERO choose among several, and nothing says
whether a GPU is used. Retired by ONNX Runtime naming the device in the placement; no issue
known."""


class OpenVino(Provider):
    """Names and values: "Summary of options" in
    docs/execution-providers/OpenVINO-ExecutionProvider.md of microsoft/onnxruntime; every one of
    `known_options` is in libonnxruntime_providers_openvino.so of onnxruntime-openvino 1.24.1."""

    name = "OpenVINOExecutionProvider"
    experimental = False  # on a CPU; on Intel's GPUs it was not tried
    package = "onnxruntime-openvino==1.24.1"
    library = "openvino"
    libraries = (
        "OpenVINO is in the package; an Intel GPU wants Intel's driver (intel-opencl-icd) and "
        "access to /dev/dri"
    )
    known_options = frozenset(
        {
            "cache_dir", "context", "device_id", "device_luid", "device_type",
            "disable_dynamic_shapes", "enable_causallm", "enable_opencl_throttling",
            "enable_qdq_optimizer", "layout", "load_config", "model_priority", "num_of_threads",
            "num_streams", "precision", "reshape_input",
        }
    )  # fmt: skip
    shapes = BOUNDED_ON_CPU
    precisions = frozenset({"fp32", "bf16", "int8"})
    max_batch_images = 1

    def shapes_for(self, config: RuntimeConfig) -> ShapePolicy:
        """On a CPU one session takes every shape that is announced: a session for each takes up to
        three times the memory and is no faster. A GPU compiles for every shape. Figures:
        docs/decisions/0018."""
        return self.shapes if device(config) == "CPU" else FIXED

    def card(self, config: RuntimeConfig) -> str | None:
        """The number in `device_type`; DEVICE_ID does not choose among CPUs or NPUs."""
        kind, _, index = device(config).partition(".")
        return (index or "0") if kind == "GPU" else None

    def keeps_programs(self, config: RuntimeConfig) -> bool:
        """On a CPU, compiling is as fast as reading what was compiled."""
        return device(config) != "CPU"

    def options(self, config: RuntimeConfig, program: ProgramSpec) -> Options:
        """One inference at a time, on `config.threads` threads: session options do not reach
        OpenVINO, whose own default is every core of the host (openvinotoolkit/openvino#37838
        would retire that)."""
        properties = {
            "INFERENCE_PRECISION_HINT": HINTS[config.precision],
            "NUM_STREAMS": "1",
            "PERFORMANCE_HINT": "LATENCY",
        }
        kind = device(config).partition(".")[0]
        if kind == "CPU":
            properties["INFERENCE_NUM_THREADS"] = str(config.threads)
        cache = {"cache_dir": str(program.folder)} if program.folder else {}
        return {
            "load_config": json.dumps({kind: properties}),
            **cache,
        }

    def options_for(self, config: RuntimeConfig, program: ProgramSpec) -> dict[str, str]:
        """`device_type` is completed with the number of DEVICE_ID."""
        return {**super().options_for(config, program), "device_type": device(config)}


def device(config: RuntimeConfig) -> str:
    """OpenVINO's device: `device_type` of ONNX_PROVIDER_OPTIONS, "CPU" without it. "GPU" is
    completed with the number of DEVICE_ID, "GPU.1" stays.

    Raises ProviderError for a `device_type` that is not one device.
    """
    said = config.overrides.get(OpenVino.name, {}).get("device_type", "CPU")
    if not ONE_DEVICE.fullmatch(said):
        raise ProviderError(
            f"{OpenVino.name}: device_type {said} is not one device: say CPU, GPU, GPU.1 or NPU. "
            "What chooses among several could leave a GPU unused without a word"
        )
    return f"GPU.{config.device}" if said == "GPU" and config.device else said
