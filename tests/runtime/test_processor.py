"""The processor as /health and the doctor name it, of machines that are not here."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from face_service.runtime.processor import in_words, processor

CLASSES = {
    "Sapphire Rapids": (
        "flags\t: fpu avx2 avx512f avx512_bf16 avx512_vnni avx_vnni amx_tile amx_bf16 amx_int8",
        "avx512-vnni-bf16-amx",
        {"bf16": "computed natively", "int8": "exact, faster"},
    ),
    "Zen 4": (
        "flags\t: fpu avx2 avx512f avx512_bf16 avx512_vnni",
        "avx512-vnni-bf16",
        {"bf16": "computed natively", "int8": "exact, faster"},
    ),
    "Skylake with AVX-512": (
        "flags\t: fpu avx2 avx512f",
        "avx512",
        {"bf16": "not here", "int8": "exact"},
    ),
    "Alder Lake": (
        "flags\t: fpu avx2 avx_vnni",
        "avx2-vnni",
        {"bf16": "not here", "int8": "exact, faster"},
    ),
    "Zen 3": ("flags\t: fpu avx2", "avx2", {"bf16": "not here", "int8": "exact"}),
    "Cortex-A72": ("Features\t: fp asimd", "neon", {"bf16": "not here", "int8": "exact"}),
    "Neoverse N1": (
        "Features\t: fp asimd asimddp",
        "neon-dotprod",
        {"bf16": "not here", "int8": "exact, faster"},
    ),
    "Neoverse V1": (
        "Features\t: fp asimd asimddp sve i8mm bf16",
        "sve-dotprod-i8mm-bf16",
        {"bf16": "not here", "int8": "exact, faster"},
    ),
}


@pytest.mark.parametrize("name", CLASSES)
def test_one_word_for_processors_that_compute_alike(name: str, tmp_path: Path) -> None:
    listed, word, precision = CLASSES[name]
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\nmodel name\t: {name}\n{listed}\n\nprocessor\t: 1\n")
    found = processor(path)
    assert found.name == name
    assert found.class_name == word
    assert dict(found.precision) == precision
    assert in_words(found) == f"Processor class: `{word}` ({name})."


def test_a_name_is_no_instruction_set(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("model name\t: avx512f\nflags\t: fpu avx2\n")
    assert processor(tmp_path / "cpuinfo").instruction_sets == ("avx2",)


def test_where_nothing_is_listed_the_architecture_is_the_class(tmp_path: Path) -> None:
    found = processor(tmp_path / "absent")
    assert found.class_name == platform.machine().lower()
    assert found.name
    assert (found.instruction_sets, dict(found.precision)) == ((), {})
