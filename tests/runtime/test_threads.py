"""The thread count follows the container's quota, not the host."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from face_service.runtime.threads import (
    NICENESS,
    available_cpus,
    cpu_quota,
    lower_thread_priority,
    network_threads,
)

CPUS = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, CPUS),
        ({"cpu.max": "max 100000"}, CPUS),
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "150000 100000"}, min(2, CPUS)),
        ({"cpu.max": "6400000 100000"}, CPUS),
        ({"cpu.max": "rubbish"}, CPUS),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, CPUS),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
    ],
    ids=str,
)
def test_quota(files: dict[str, str], expected: int, tmp_path: Path) -> None:
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content + "\n")
    assert available_cpus(tmp_path) == expected


@pytest.mark.parametrize(
    ("workers", "cpus", "expected"),
    [
        (1, 1, [(1,)]),
        (1, 8, [(8, 1)]),
        (2, 2, [(2, 1), (1,)]),
        (4, 4, [(4, 2, 1), (2, 1), (1,), (1,)]),
        (6, 6, [(6, 3, 1), (3, 1), (1,), (1,), (1,), (1,)]),
        (2, 8, [(8, 4, 1), (4, 1)]),
        (3, 8, [(8, 4, 2, 1), (4, 2, 1), (2, 1)]),
        (4, 2, [(2, 1), (1,), (1,), (1,)]),
    ],
)
def test_threads_of_the_workers(workers: int, cpus: int, expected: list[tuple[int, ...]]) -> None:
    assert [network_threads(number, workers, cpus) for number in range(workers)] == expected


V2 = "0::/system.slice/face.service\n"
V1 = "12:memory:/other\n4:cpu,cpuacct:/system.slice/face.service\n1:name=systemd:/other\n"


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        pytest.param(V2, {"system.slice/face.service/cpu.max": "150000 100000"}, 1.5, id="service"),
        pytest.param(V2, {"system.slice/cpu.max": "200000 100000"}, 2.0, id="slice"),
        pytest.param(
            V2,
            {
                "system.slice/face.service/cpu.max": "400000 100000",
                "system.slice/cpu.max": "50000 100000",
                "cpu.max": "max 100000",
            },
            0.5,
            id="the least of all",
        ),
        pytest.param(
            V2,
            {
                "system.slice/face.service/cpu.max": "max 100000",
                "system.slice/cpu.max": "300000 100000",
            },
            3.0,
            id="max is none",
        ),
        pytest.param(V2, {"other/cpu.max": "100000 100000"}, None, id="another's"),
        pytest.param(
            "0::/../other\n", {"cpu.max": "250000 100000"}, 2.5, id="outside the namespace"
        ),
        pytest.param(
            V1,
            {
                "cpu/system.slice/face.service/cpu.cfs_quota_us": "150000",
                "cpu/system.slice/face.service/cpu.cfs_period_us": "100000",
                "cpu/cpu.cfs_quota_us": "-1",
                "cpu/cpu.cfs_period_us": "100000",
            },
            1.5,
            id="v1",
        ),
        pytest.param("rubbish", {"cpu.max": "100000 100000"}, 1.0, id="rubbish"),
        pytest.param("", {}, None, id="nothing"),
    ],
)
def test_the_quota_of_a_service_on_a_host(
    membership: str, files: dict[str, str], expected: float | None, tmp_path: Path
) -> None:
    listed = tmp_path / "membership"
    listed.write_text(membership)
    for name, content in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    assert cpu_quota(tmp_path / "cgroup", listed) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a niceness belongs to a process")
def test_a_decoder_steps_back_and_nobody_else_does() -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    with ThreadPoolExecutor(1, initializer=lower_thread_priority) as decoders:
        found = decoders.submit(os.getpriority, os.PRIO_PROCESS, 0).result()
    assert found == max(NICENESS, own)
    if own >= NICENESS:
        pytest.skip("this process is as nice as a decoder itself")
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


NICER = """
import os, sys
from face_service.serving.decoders import DecodePool

if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
pool = DecodePool(2, 20.0)
print(pool.submit(os.getpriority, os.PRIO_PROCESS, 0).result(20), pool.complete)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a niceness belongs to a process")
@pytest.mark.parametrize(("nice", "expected"), [(0, NICENESS), (15, 15), (19, 19)])
def test_a_process_that_is_nice_already_decodes(nice: int, expected: int) -> None:
    """Only root may make a thread less nice."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    command = ["nice", "-n", str(max(0, nice - own)), sys.executable, "-c", NICER]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == [str(max(expected, own)), "True"], done.stderr


def test_a_system_that_forbids_priorities_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setpriority", forbidden)
    lower_thread_priority()
    monkeypatch.setattr(os, "getpriority", forbidden)
    lower_thread_priority()
