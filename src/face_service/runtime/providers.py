"""Execution providers: what is asked for, what this ONNX Runtime offers, what is taken."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import onnxruntime

from face_service.errors import ProviderError

logger = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"

PACKAGES = {
    CPU: "onnxruntime",
    "CUDAExecutionProvider": "onnxruntime-gpu",
    "TensorrtExecutionProvider": "onnxruntime-gpu",
    "ROCMExecutionProvider": "onnxruntime-rocm (ROCm 6.x-7.0)",
    "MIGraphXExecutionProvider": "onnxruntime-migraphx (ROCm 7.1 and later)",
    "OpenVINOExecutionProvider": "onnxruntime-openvino",
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
