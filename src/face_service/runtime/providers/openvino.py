"""Intel's OpenVINO: on any x86 CPU, and on Intel's GPUs where ONNX_PROVIDER_OPTIONS asks for
one."""

from __future__ import annotations

import json

from ..policy import FIXED_ON_CPU
from .base import Options, Program, Provider, Setup

HINTS = {"fp32": "f32", "int8": "f32", "bf16": "bf16"}
"""By precision. It is always said: left alone, it is OpenVINO's to choose, by version and by
processor. "f32" leaves quantised layers in int8."""


class OpenVino(Provider):
    """Names and values: "Summary of options" in
    docs/execution-providers/OpenVINO-ExecutionProvider.md of microsoft/onnxruntime; every one of
    `known_options` is in libonnxruntime_providers_openvino.so of onnxruntime-openvino 1.24.1."""

    name = "OpenVINOExecutionProvider"
    package = "onnxruntime-openvino==1.24.1"
    library = "openvino"
    known_options = frozenset(
        {
            "cache_dir", "context", "device_id", "device_luid", "device_type",
            "disable_dynamic_shapes", "enable_causallm", "enable_opencl_throttling",
            "enable_qdq_optimizer", "layout", "load_config", "model_priority", "num_of_threads",
            "num_streams", "precision", "reshape_input",
        }
    )  # fmt: skip
    shapes = FIXED_ON_CPU
    precisions = frozenset({"fp32", "bf16", "int8"})
    images_per_turn = 1
    on_gpu = False
    keeps_programs = True

    def options(self, setup: Setup, program: Program) -> Options:
        """One inference at a time, on `threads` threads: session options do not reach OpenVINO,
        whose own default is every core of the host."""
        device = setup.overrides.get(self.name, {}).get("device_type", "CPU")
        properties = {
            "INFERENCE_PRECISION_HINT": HINTS[setup.precision],
            "NUM_STREAMS": "1",
            "PERFORMANCE_HINT": "LATENCY",
        }
        if device == "CPU":
            properties["INFERENCE_NUM_THREADS"] = str(setup.threads)
        cache = {"cache_dir": str(program.folder)} if program.folder else {}
        kind = device.partition(".")[0]
        return {"device_type": device, "load_config": json.dumps({kind: properties}), **cache}
