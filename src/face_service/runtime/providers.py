"""Execution providers: what is asked for, what this ONNX Runtime offers, what is taken."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

import onnxruntime

from face_service.errors import ProviderError

logger = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"
OPENVINO = "OpenVINOExecutionProvider"
OPENVINO_PACKAGE = "onnxruntime-openvino==1.24.1"
"""The build whose options and figures docs/decisions/0011-precision.md records."""

PACKAGES = {
    CPU: "onnxruntime",
    "CUDAExecutionProvider": "onnxruntime-gpu",
    "TensorrtExecutionProvider": "onnxruntime-gpu",
    "ROCMExecutionProvider": "onnxruntime-rocm (ROCm 6.x-7.0)",
    "MIGraphXExecutionProvider": "onnxruntime-migraphx (ROCm 7.1 and later)",
    OPENVINO: OPENVINO_PACKAGE,
    "CoreMLExecutionProvider": "onnxruntime, on macOS",
    "DmlExecutionProvider": "onnxruntime-directml, on Windows",
}
"""Every provider that may be asked for, and the package whose ONNX Runtime has it."""


def choose_providers(
    asked: Sequence[str], available: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The providers of `asked` that can be used, in the order asked.

    `available`: what this ONNX Runtime offers (asked of it by default). A provider that is
    missing stops the start, unless CPUExecutionProvider was asked for too: then it takes
    over, and the log says so.

    Raises ProviderError with the package to install.
    """
    offered = onnxruntime.get_available_providers() if available is None else available
    logger.info("Available ONNX providers: %s", list(offered))
    missing = [name for name in asked if name not in offered]
    taken = tuple(name for name in asked if name in offered)
    if missing:
        advice = "; ".join(f"{name} comes with {PACKAGES[name]}" for name in missing)
        if CPU not in taken:
            raise ProviderError(
                f"ONNX_PROVIDERS asks for {', '.join(missing)}, but this ONNX Runtime offers "
                f"only {', '.join(offered)}. Install the package ({advice}), or add {CPU} to "
                "ONNX_PROVIDERS to allow falling back to the CPU"
            )
        if taken == (CPU,):
            logger.warning("No configured providers available, falling back to CPU (%s)", advice)
        else:
            logger.warning("Not available: %s (%s)", ", ".join(missing), advice)
    return taken


def provider_options(name: str, precision: str, threads: int) -> dict[str, str]:
    """What ONNX Runtime is to tell a provider, beside the options of the session.

    precision: "fp32", "bf16" or "int8". threads: those of a network on the CPU.
    """
    return openvino_options(precision, threads) if name == OPENVINO else {}


def openvino_options(precision: str, threads: int) -> dict[str, str]:
    """Options of OpenVINO on the CPU: one inference at a time, on `threads` threads.

    The precision is always said: left alone, it is OpenVINO's to choose, by version and by
    processor. "f32" leaves quantised layers in int8. Session options do not reach OpenVINO,
    whose own default is every core of the host.
    """
    properties = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",
        "PERFORMANCE_HINT": "LATENCY",
    }
    return {"device_type": "CPU", "load_config": json.dumps({"CPU": properties})}
