"""The processor, its quota and the memory, of machines that are not here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from face_service.runtime.processor import processor
from face_service.tools.doctor.hardware import Cpu, Memory, cpu, memory, system
from face_service.tools.doctor.verdict import processors

Write = Callable[[str, str], Path]

XEON = """\
processor\t: {number}
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8480+
flags\t\t: fpu sse2 avx2 avx512f avx512_vnni avx512_bf16 amx_bf16 amx_tile amx_int8

"""
GRAVITON = """\
processor\t: 0
BogoMIPS\t: 2100.00
Features\t: fp asimd asimddp sve i8mm bf16
CPU implementer\t: 0x41

"""
MEMINFO = "MemTotal:       528280000 kB\nMemFree:        1000 kB\nMemAvailable:   480000000 kB\n"
KIB = 1024


def test_a_container_with_a_quota_of_2_on_64_cores(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("proc/cpuinfo", "".join(XEON.format(number=number) for number in range(64)))
    write("sys/fs/cgroup/cpu.max", "200000 100000\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    found = cpu(tmp_path)
    assert found == Cpu(
        processor(tmp_path / "proc/cpuinfo"),
        cores=64,
        allowed=64,
        quota=2.0,
    )
    assert found.processor.name == "Intel(R) Xeon(R) Platinum 8480+"
    assert found.processor.class_name == "avx512-vnni-bf16-amx"
    assert processors(found) == 2


def test_an_arm_processor_has_features(write: Write, tmp_path: Path) -> None:
    write("proc/cpuinfo", GRAVITON)
    assert cpu(tmp_path).processor.class_name == "sve-dotprod-i8mm-bf16"


def test_a_system_without_proc_still_has_a_processor(tmp_path: Path) -> None:
    found = cpu(tmp_path)
    assert found.processor.instruction_sets == () and found.quota is None
    assert found.cores == os.cpu_count() and found.processor.name


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"memory.max": "max"}, None),
        ({"memory.max": "4294967296"}, 4 * 1024**3),
        ({"memory/memory.limit_in_bytes": "4294967296"}, 4 * 1024**3),
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
    ],
    ids=str,
)
def test_memory_and_the_limit_of_the_container(
    files: dict[str, str], limit: int | None, write: Write, tmp_path: Path
) -> None:
    write("proc/meminfo", MEMINFO)
    for name, text in files.items():
        write(f"sys/fs/cgroup/{name}", f"{text}\n")
    assert memory(tmp_path) == Memory(528280000 * KIB, 480000000 * KIB, limit)


def test_the_system_and_whether_it_is_in_a_container(write: Write, tmp_path: Path) -> None:
    write("etc/os-release", 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 24.04.1 LTS"\n')
    assert system(tmp_path, {}).name == "Ubuntu 24.04.1 LTS"
    assert not system(tmp_path, {}).container
    assert system(tmp_path, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}).container
    write(".dockerenv", "")
    assert system(tmp_path, {}).container
