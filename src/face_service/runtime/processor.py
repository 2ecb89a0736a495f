"""The processor: its name, its instruction sets, and what they mean for precision."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

INSTRUCTION_SETS = (
    "avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_tile",
    "amx_bf16", "amx_int8", "asimd", "asimddp", "i8mm", "bf16", "sve",
)  # fmt: skip
"""Those that decide how networks are computed, as Linux calls them on x86-64 (`flags`,
arch/x86/include/asm/cpufeatures.h) and on ARM64 (`Features`, arch/arm64/kernel/cpuinfo.c)."""

VECTORS = {"avx512f": "avx512", "avx2": "avx2", "sve": "sve", "asimd": "neon"}
"""Widest vectors first, and what a class calls them."""

EXTENSIONS = {
    "vnni": frozenset({"avx512_vnni", "avx_vnni"}),
    "dotprod": frozenset({"asimddp"}),
    "i8mm": frozenset({"i8mm"}),
    "bf16": frozenset({"avx512_bf16", "bf16"}),
    "amx": frozenset({"amx_tile"}),
}
"""What a class names besides, and the instruction sets any one of which is enough."""

INT8_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
"""Four products of 8 bits, added in 32 bits by one instruction. Without them it takes three."""

BF16 = frozenset({"avx512_bf16", "amx_bf16"})
"""What OpenVINO computes bfloat16 with, the only provider that does on a processor."""


@dataclass(frozen=True, slots=True)
class Processor:
    """name: as the system calls it. class_name: see `class_of`. instruction_sets: those of
    INSTRUCTION_SETS it has, in that order; empty where the system does not list them.
    precision: how bf16 and int8 are computed, see `precision_of`."""

    name: str
    class_name: str
    instruction_sets: tuple[str, ...]
    precision: Mapping[str, str]


@cache
def processor(cpuinfo: Path = CPUINFO) -> Processor:
    """The first processor of the list; its architecture alone where there is no such file."""
    known: dict[str, str] = {}
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        known.setdefault(name.strip(), value.strip())
    listed = frozenset((known.get("flags") or known.get("Features") or "").split())
    here = tuple(name for name in INSTRUCTION_SETS if name in listed)
    name = known.get("model name") or platform.processor() or platform.machine()
    return Processor(name, class_of(here), here, dict(precision_of(here)))


def class_of(instruction_sets: Iterable[str]) -> str:
    """One word for processors that compute alike: `avx512-vnni-bf16-amx`, `avx2`, `neon-dotprod`;
    the machine's architecture where no instruction set that matters is listed."""
    here = frozenset(instruction_sets)
    vectors = next((word for flag, word in VECTORS.items() if flag in here), None)
    if vectors is None:
        return platform.machine().lower() or "unknown"
    return "-".join([vectors, *(word for word, flags in EXTENSIONS.items() if flags & here)])


def precision_of(instruction_sets: Iterable[str]) -> Iterator[tuple[str, str]]:
    """bf16 and int8, and how each is computed with these; nothing where none is listed."""
    here = frozenset(instruction_sets)
    if here:
        yield "bf16", "computed natively" if BF16 & here else "not here"
        yield "int8", "exact, faster" if INT8_PRODUCTS & here else "exact"


def in_words(found: Processor) -> str:
    """One line for tables of figures: class and name."""
    return f"Processor class: `{found.class_name}` ({found.name})."
