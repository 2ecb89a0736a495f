"""Execution providers, one class each, and the order in which `auto` tries them."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from .base import COMPILED, Precision, ProgramSpec, Provider, RuntimeConfig
from .coreml import CoreMl
from .cpu import Cpu
from .cuda import Cuda
from .directml import DirectMl
from .migraphx import MiGraphX
from .openvino import OpenVino
from .rocm import Rocm
from .tensorrt import TensorRt

__all__ = [
    "AUTO",
    "AUTO_ORDER",
    "COMPILED",
    "CPU",
    "OPENVINO",
    "PROVIDERS",
    "Precision",
    "ProgramSpec",
    "Provider",
    "RuntimeConfig",
    "max_batch_images",
]

PROVIDERS = MappingProxyType(
    {
        provider.name: provider
        for provider in (
            Cpu(), Cuda(), TensorRt(), Rocm(), MiGraphX(), OpenVino(), CoreMl(), DirectMl(),
        )
    }
)  # fmt: skip
"""Every provider that may be asked for, by ONNX Runtime's name for it."""

CPU = Cpu.name
OPENVINO = OpenVino.name

AUTO = "auto"
AUTO_ORDER = (Cuda.name, MiGraphX.name, Rocm.name, CoreMl.name, DirectMl.name, OPENVINO, CPU)
"""The providers that `auto` tries, in order: cards before CPUs. TensorRT is not among them: it
builds for minutes what CUDA does at once."""


def max_batch_images(providers: Sequence[str]) -> int:
    """Most waiting images that a worker takes as one batch. providers: of the engine, the computing
    one first."""
    return PROVIDERS[providers[0]].max_batch_images
