"""The machine without its cards: system, processor, memory, and what of them a container may use.

`root` is where the system's files are: "/", or a folder that looks like it.
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
"""What Docker and Podman leave in a container."""


@dataclass(frozen=True, slots=True)
class System:
    """The operating system, its name and kernel."""

    kernel: str
    name: str
    container: bool


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processor. cores: of the host; allowed: in the affinity mask; quota: of the container,
    None where there is none."""

    processor: Processor
    cores: int
    allowed: int
    quota: float | None


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. limit: of the container, None where there is none."""

    total: int
    available: int
    limit: int | None


def system(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> System:
    """Which system this is, and whether it is in a container."""
    release = fields(root / "etc/os-release", "=")
    return System(
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        name=release.get("PRETTY_NAME", "").strip('"') or platform.platform(terse=True),
        container="KUBERNETES_SERVICE_HOST" in environment
        or any((root / mark).exists() for mark in CONTAINER_MARKS),
    )


def cpu(root: Path = Path("/")) -> Cpu:
    """The processor, as the first of the list describes it."""
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

    Raises KeyError where the system does not tell.
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
    """What a file of the system says; nothing where it is absent or closed to us."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def fields(path: Path, separator: str) -> dict[str, str]:
    """A file of names and values, one a line; the first value of a name counts."""
    found: dict[str, str] = {}
    for line in content(path).splitlines():
        name, middle, value = line.partition(separator)
        if middle:
            found.setdefault(name.strip(), value.strip())
    return found


def count(path: Path, name: str) -> int:
    """How often a name stands in such a file."""
    lines = content(path).splitlines()
    return sum(line.partition(":")[0].strip() == name for line in lines)
