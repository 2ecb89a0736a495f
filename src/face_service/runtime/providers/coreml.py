"""Apple's Core ML, in ONNX Runtime's own build for macOS."""

from __future__ import annotations

from ..policy import FIXED
from .base import Options, ProgramSpec, Provider, RuntimeConfig


class CoreMl(Provider):
    """Names and values: "Available Options (New API)" in
    docs/execution-providers/CoreML-ExecutionProvider.md of microsoft/onnxruntime."""

    name = "CoreMLExecutionProvider"
    package = "onnxruntime"
    where = " for macOS"
    known_options = frozenset(
        {
            "AllowLowPrecisionAccumulationOnGPU", "EnableOnSubgraphs", "MLComputeUnits",
            "ModelCacheDirectory", "ModelFormat", "ProfileComputePlan", "RequireStaticInputShapes",
            "SpecializationStrategy",
        }
    )  # fmt: skip
    booleans = ("0", "1")
    shapes = FIXED

    def card(self, config: RuntimeConfig) -> str | None:
        """It has no option that names one: Core ML chooses."""
        return None

    def keeps_programs(self, config: RuntimeConfig) -> bool:
        """Always: it compiles a network at load, and reads what it finds in its folder."""
        return True

    def options(self, config: RuntimeConfig, program: ProgramSpec) -> Options:
        """AllowLowPrecisionAccumulationOnGPU: off, as it makes sums of fp32 networks in fp16."""
        cache = {"ModelCacheDirectory": str(program.folder)} if program.folder else {}
        return {
            "ModelFormat": "MLProgram",
            "MLComputeUnits": "ALL",
            "RequireStaticInputShapes": "1",
            "EnableOnSubgraphs": "0",
            "AllowLowPrecisionAccumulationOnGPU": "0",
            **cache,
        }
