"""How many processors this process may use, its threads' priority, and what they have used."""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux mounts the groups (cgroups(7))."""
THREADS = Path("/proc/self/task")
"""A folder for each thread of this process, by its number (proc(5))."""
MEMBERSHIP = Path("/proc/self/cgroup")
"""The groups of this process, a line each: `number:controllers:/path` (cgroups(7))."""

MOST_WORKERS = 16
"""Most workers on a CPU where WORKERS does not say how many; nobody has measured as many."""

NICENESS = 10
"""A thread of this niceness gets a tenth of the share of one of niceness 0 where both want the same
processor (sched(7)): docs/decisions/0012."""


def available_cpus(cgroup: Path = CGROUP) -> int:
    """Processors this process may use, at least 1.

    The smaller of the scheduler's affinity mask and the quota of a container or of a systemd
    service (cgroup v2 `cpu.max`, v1 `cpu.cfs_quota_us`), rounded up. ONNX Runtime's own default
    counts the host's cores, which makes a container with a quota of 2 on 64 cores crawl.
    """
    cpus, quota = allowed_cpus(), cpu_quota(cgroup)
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def cpu_threads(intra_op_threads: int) -> int:
    """Threads that the networks have together where INTRA_OP_THREADS is `intra_op_threads`: 0 for
    one a processor."""
    return intra_op_threads or available_cpus()


def most_workers(workers: int, threads: int) -> int:
    """Workers there may be on a CPU where WORKERS is `workers`: 0 for one for each of `threads`,
    but at most MOST_WORKERS."""
    return workers or min(threads, MOST_WORKERS)


def network_threads(worker: int, workers: int, cpus: int) -> tuple[int, ...]:
    """Intra-op threads of each network of a worker on the CPU, descending: a session for each.

    worker: its number, from 0. workers: how many may compute side by side, on `cpus` processors.
    The first worker has them all while it is alone; the first two have a half each, the first four
    a quarter, down to the share of each when all compute: of 4 workers on 8 processors the first
    has (8, 4, 2, 1), the last (2, 1). Work goes to the first worker that is idle, so no other needs
    as many. Each has one of a single thread, for faces side by side.
    """
    shares, sharing = [], 1
    while True:
        if worker < sharing:
            shares.append(max(1, cpus // sharing))
        if sharing >= workers or (worker < sharing and shares[-1] == 1):
            return tuple(dict.fromkeys((*shares, 1)))
        sharing = min(2 * sharing, workers)


def allowed_cpus() -> int:
    """Processors in the scheduler's affinity mask; all of them on macOS and Windows, which have
    no masks."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(cgroup: Path = CGROUP, membership: Path = MEMBERSHIP) -> float | None:
    """The CPU quota in processors: the smallest of the groups that this process is in, from its own
    up to the root of what is mounted. None where there is none."""
    quotas = (quota_of(group) for group in groups(cgroup, membership))
    return min((quota for quota in quotas if quota is not None), default=None)


def groups(cgroup: Path, membership: Path) -> Iterator[Path]:
    """The folders of this process's groups: v2's, and those of v1's cpu controller.

    In a container they lie at the root, whatever path the host knows them by; on a host, a service
    of systemd lies some levels below it.
    """
    yield from (cgroup, cgroup / "cpu")
    lines: list[str] = []
    with suppress(OSError):
        lines = membership.read_text().splitlines()
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        mounted = cgroup / "cpu" if "cpu" in controllers.split(",") else cgroup
        if (mounted == cgroup and controllers) or ".." in path.split("/"):
            continue
        here = Path(path.lstrip("/"))
        yield from (mounted / group for group in (here, *here.parents))


def quota_of(group: Path) -> float | None:
    """The quota of one group in processors, None where it has none."""
    try:
        quota, period = (group / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        limit = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max": no limit
        return None
    return limit if limit > 0 else None  # v1 says -1 for no limit


def lower_thread_priority() -> None:
    """Lower the priority of the calling thread to NICENESS (Linux; elsewhere nothing happens).

    For threads that decode: a network's threads wait for each other at every layer, so a decoder
    that interrupts one of them holds up all. While the workers are idle, decoding is as fast as
    before. A thread of a higher niceness keeps it, and where the system forbids the change, nothing
    changes.
    """
    if sys.platform == "linux":  # elsewhere a niceness belongs to a process
        thread = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(
                os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread))
            )


class ThreadUsage(NamedTuple):
    """runnable: whether a thread is running or ready to run, and waits for no lock or device.
    cpu_seconds: the CPU time it has used."""

    runnable: bool
    cpu_seconds: float


def thread_usage(native_id: int) -> ThreadUsage | None:
    """What a thread of this process does at this moment. None where the system does not say
    (Linux alone does) and once the thread has ended."""
    try:
        stat = (THREADS / str(native_id) / "stat").read_text()
    except OSError:
        return None
    # proc_pid_stat(5). The name of a thread, in parentheses, may hold anything.
    state, *fields = stat.rpartition(")")[2].split()
    ticks = int(fields[10]) + int(fields[11])
    return ThreadUsage(state == "R", ticks / os.sysconf("SC_CLK_TCK"))
