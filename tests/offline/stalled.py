"""What waits where a run on Ray does not end: the stacks of its processes, and Ray's logs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

OF_INTEREST = ("ray::", "spawn_main", "raylet", "gcs_server", "face-service")
LINES = 15


def describe(pids: Iterable[int], spy: Path, logs: Path) -> str:
    """The processes of Ray and of this service below `pids`, with the stacks of those in Python as
    py-spy sees them, and the last lines of the logs that were written to."""
    found = []
    for pid in pids:
        with suppress(psutil.Error):
            found += [(each := psutil.Process(pid)), *each.children(recursive=True)]
    text = []
    for process in found:
        with suppress(psutil.Error):
            command = " ".join(process.cmdline())
            if not any(word in command for word in OF_INTEREST):
                continue
            text.append(f"== {process.pid}, {process.status()}: {command[:120]}")
            if "raylet/raylet" not in command and "gcs_server" not in command:
                text.append(stacks(process.pid, spy))
    for path in sorted(logs.glob("*")):
        if path.is_file() and path.stat().st_size:
            last = path.read_text(errors="replace").splitlines()[-LINES:]
            text += [f"== {path.name}", *(line[:300] for line in last)]
    return "\n".join(text)


def stacks(pid: int, spy: Path) -> str:
    """Of a process in Python."""
    command = [spy, "dump", "--nonblocking", "--pid", str(pid)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no stacks: {error}"
    return done.stdout or f"no stacks: {done.stderr}"
