"""Whether a provider can compute in the precision that is asked for on this machine."""

from __future__ import annotations

from pathlib import Path

from face_service.errors import ProviderError

from .processor import BF16, CPUINFO, processor
from .providers import OPENVINO, PROVIDERS, Precision


def require_precision(provider: str, precision: Precision, cpuinfo: Path = CPUINFO) -> None:
    """Check that `provider` computes in `precision` on this machine.

    OpenVINO itself does not check: where the processor lacks what its precision hint asks for, it
    computes in fp32 and does not say so (findings/openvino-unknown-precision.sh fails once that
    ends). Raises ProviderError, with what is missing and what to set instead.
    """
    able = [name for name, known in PROVIDERS.items() if precision in known.precisions]
    here = processor(cpuinfo).instruction_sets
    if provider == OPENVINO and precision == "bf16" and BF16.isdisjoint(here):
        raise ProviderError(
            "PRECISION=bf16 needs a processor with AVX512_BF16 or AMX (AMD from Zen 4 on, "
            f"Intel from Sapphire Rapids on), and {cpuinfo} shows neither here: set "
            "PRECISION=fp32, or make an int8 pack with face-service models quantize"
        )
    if provider not in able:
        packages = ", ".join(f"{name} ({PROVIDERS[name].package})" for name in able)
        raise ProviderError(
            f"{provider} does not compute in PRECISION={precision}: set ONNX_PROVIDERS to one of "
            f"{packages}, or set PRECISION=fp32"
        )
