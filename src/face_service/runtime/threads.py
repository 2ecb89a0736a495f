"""How many threads this process may really use, and which of them go first."""

from __future__ import annotations

import math
import os
import sys
import threading
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")

NICENESS = 10
"""A tenth of a lane's share of a processor that both want: docs/decisions/0012."""


def available_cpus(cgroup: Path = CGROUP) -> int:
    """Processors this process may use, at least 1.

    The smaller of the scheduler's affinity mask and the container's quota (cgroup v2
    `cpu.max`, v1 `cpu.cfs_quota_us`), rounded up. ONNX Runtime's own default counts the
    host's cores, which makes a container with a quota of 2 on 64 cores crawl.
    """
    cpus, quota = allowed_cpus(), cpu_quota(cgroup)
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def allowed_cpus() -> int:
    """Processors in the scheduler's affinity mask; all of them on macOS and Windows, which have
    no masks."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(cgroup: Path = CGROUP) -> float | None:
    """The container's CPU quota in processors, None where there is none."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        limit = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max": no limit
        return None
    return limit if limit > 0 else None  # v1 says -1 for no limit


def step_back() -> None:
    """Let the lanes go first: on Linux, make the calling thread a nicer one.

    A network's threads wait for each other at every layer, so a decoder that interrupts one
    of them holds up all. When the lanes have nothing to do, decoding is as fast as ever.
    """
    if sys.platform == "linux":  # elsewhere a niceness belongs to a process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
