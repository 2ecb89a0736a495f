"""Precision: the formats networks are computed in, and whether this machine has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import onnxruntime

from face_service.errors import ProviderError

from .providers import OPENVINO, OPENVINO_PACKAGE

Precision = Literal["fp32", "bf16", "int8"]
"""fp32: as the networks were trained. bf16: fp32 networks, multiplied in bfloat16. int8:
networks that were quantised beforehand."""

BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""What Linux calls the instructions, in /proc/cpuinfo (arch/x86/include/asm/cpufeatures.h)."""

CPUINFO = Path("/proc/cpuinfo")


def require_bf16(
    providers: Sequence[str], cpuinfo: Path = CPUINFO, offered: Sequence[str] | None = None
) -> None:
    """Make sure that `providers` compute in bfloat16 on this processor.

    OpenVINO does not: where it cannot have what its precision hint says, it computes in
    fp32 and keeps silent. `offered`: what this ONNX Runtime was built with (asked of it by
    default). Raises ProviderError with what is lacking and the way out.
    """
    if not BF16_FLAGS & cpu_flags(cpuinfo):
        raise ProviderError(
            "PRECISION=bf16 needs a processor with AVX512_BF16 or AMX (AMD from Zen 4 on, "
            f"Intel from Sapphire Rapids on), and {cpuinfo} shows neither here: set "
            "PRECISION=fp32, or make an int8 pack with face-service models quantize"
        )
    if providers[0] == OPENVINO:
        return
    if offered is None:
        offered = onnxruntime.get_available_providers()
    install = (
        "" if OPENVINO in offered else f"install {OPENVINO_PACKAGE} in place of onnxruntime and "
    )
    raise ProviderError(
        f"PRECISION=bf16 is computed by {OPENVINO}, and {providers[0]} is to compute: "
        f"{install}set ONNX_PROVIDERS={OPENVINO}, or set PRECISION=fp32"
    )


def cpu_flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """The instruction sets of the first processor; none where the system does not list them."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return frozenset(value.split())
    return frozenset()
