"""The processor: its name, its instruction sets, and how they compute each precision."""

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
"""Instruction sets of vectors, widest first, and their word in the name of a class."""

EXTENSIONS = {
    "vnni": frozenset({"avx512_vnni", "avx_vnni"}),
    "dotprod": frozenset({"asimddp"}),
    "i8mm": frozenset({"i8mm"}),
    "bf16": frozenset({"avx512_bf16", "bf16"}),
    "amx": frozenset({"amx_tile"}),
}
"""The other words in the name of a class, each for any one of some instruction sets."""

INT8_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
"""These add four products of 8 bits in 32 bits by one instruction; without them it takes three."""

BF16 = frozenset({"avx512_bf16", "amx_bf16"})
"""These compute bfloat16 in OpenVINO, the only provider that does so on a CPU."""


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
    """The first processor in the file `cpuinfo`; without that file, its architecture alone."""
    known: dict[str, str] = {}
    for line in lines_of(cpuinfo):
        name, _, value = line.partition(":")
        known.setdefault(name.strip(), value.strip())
    listed = frozenset((known.get("flags") or known.get("Features") or "").split())
    here = tuple(name for name in INSTRUCTION_SETS if name in listed)
    name = known.get("model name") or platform.processor() or platform.machine()
    return Processor(name, class_of(here), here, dict(precision_of(here)))


def class_of(instruction_sets: Iterable[str]) -> str:
    """The class of a processor, one word: `avx512-vnni-bf16-amx`, `avx2`, `neon-dotprod`. The
    machine's architecture where none of the instruction sets in VECTORS is listed."""
    here = frozenset(instruction_sets)
    vectors = next((word for flag, word in VECTORS.items() if flag in here), None)
    if vectors is None:
        return platform.machine().lower() or "unknown"
    return "-".join([vectors, *(word for word, flags in EXTENSIONS.items() if flags & here)])


def precision_of(instruction_sets: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of a precision (bf16, int8) and how it is computed with these instruction sets; no
    pairs where none is listed."""
    here = frozenset(instruction_sets)
    if here:
        yield "bf16", "computed natively" if BF16 & here else "not here"
        yield "int8", "exact, faster" if INT8_PRODUCTS & here else "exact"


def fingerprint(cpuinfo: Path = CPUINFO) -> str:
    """What must be equal for two processors to arrange weights alike: architecture, and every
    instruction set that the system lists."""
    listed = {
        word
        for line in lines_of(cpuinfo)
        if line.startswith(("flags", "Features"))
        for word in line.split()
    }
    return " ".join([platform.machine(), platform.processor(), *sorted(listed)])


def lines_of(cpuinfo: Path) -> list[str]:
    """The lines of the file `cpuinfo`; none where it cannot be read."""
    try:
        return cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return []


def in_words(found: Processor) -> str:
    """The line above tables of figures: class and name."""
    return f"Processor class: `{found.class_name}` ({found.name})."
