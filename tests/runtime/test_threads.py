"""The thread count follows the container's quota, not the host."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from face_service.runtime.threads import NICENESS, available_cpus, step_back

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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a niceness belongs to a process")
def test_a_decoder_steps_back_and_nobody_else_does() -> None:
    with ThreadPoolExecutor(1, initializer=step_back) as decoders:
        assert decoders.submit(os.getpriority, os.PRIO_PROCESS, 0).result() == NICENESS
    assert os.getpriority(os.PRIO_PROCESS, 0) < NICENESS
