"""System, processor and memory, and how much of them a container may use.

`root` is the folder that has /proc, /sys and /etc: "/", or a copy of them.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from face_service.runtime.processor import Processor, processor
from face_service.runtime.threads import allowed_cpus, cpu_quota

CONTAINER_MARKS = (".dockerenv", "run/.containerenv")
"""Files that Docker and Podman make in a container."""


@dataclass(frozen=True, slots=True)
class System:
    """The operating system. kernel: system, release and architecture. name: of the distribution.
    container: whether this process is in one."""

    kernel: str
    name: str
    container: bool


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processor. cores: logical processors of the host; allowed: those in the affinity mask;
    quota: processors that the container's CPU quota is worth, None where there is none."""

    processor: Processor
    cores: int
    allowed: int
    quota: float | None


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory in bytes. limit: of the container, None where there is none below `total`."""

    total: int
    available: int
    limit: int | None


def system(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> System:
    """The operating system, and whether this is a container of Docker, Podman or Kubernetes."""
    release = fields(root / "etc/os-release", "=")
    return System(
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        name=release.get("PRETTY_NAME", "").strip('"') or platform.platform(terse=True),
        container="KUBERNETES_SERVICE_HOST" in environment
        or any((root / mark).exists() for mark in CONTAINER_MARKS),
    )


def cpu(root: Path = Path("/")) -> Cpu:
    """The first processor of /proc/cpuinfo, how many there are, and how many may be used."""
    path = root / "proc/cpuinfo"
    return Cpu(
        processor=processor(path),
        cores=count(path, "processor") or os.cpu_count() or 1,
        allowed=allowed_cpus(),
        quota=cpu_quota(root / "sys/fs/cgroup"),
    )


def memory(root: Path = Path("/")) -> Memory:
    """The machine's memory, and the container's limit (cgroup v2 `memory.max`, v1
    `memory.limit_in_bytes`, which without a limit is more than any machine has).

    Raises KeyError where there is no /proc/meminfo.
    """
    known = fields(root / "proc/meminfo", ":")
    total, available = (
        int(known[name].removesuffix(" kB")) * 1024 for name in ("MemTotal", "MemAvailable")
    )
    cgroup = root / "sys/fs/cgroup"
    limits = [
        int(text)
        for path in (cgroup / "memory.max", cgroup / "memory/memory.limit_in_bytes")
        if (text := content(path)).isdigit()
    ]
    return Memory(total, available, next((limit for limit in limits if limit < total), None))


def content(path: Path) -> str:
    """The text of a file; empty where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def fields(path: Path, separator: str) -> dict[str, str]:
    """Value by name of a file with one pair a line; of a name that repeats, the first value."""
    found: dict[str, str] = {}
    for line in content(path).splitlines():
        name, middle, value = line.partition(separator)
        if middle:
            found.setdefault(name.strip(), value.strip())
    return found


def count(path: Path, name: str) -> int:
    """Number of lines `NAME: VALUE` of a file that have this name."""
    lines = content(path).splitlines()
    return sum(line.partition(":")[0].strip() == name for line in lines)
