"""The server under load: a child process on a free port, or one that runs already."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from face_service.errors import FaceServiceError, StartupError

LOOPBACK = "127.0.0.1"
READY_TIMEOUT = 600.0
"""Seconds; the first start of a pack downloads it."""
STOP_TIMEOUT = 30.0
"""Seconds between SIGTERM and SIGKILL."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens. process: None if it is not a child of this process. ready_seconds:
    from its start until it was ready, None likewise."""

    host: str
    port: int
    process: subprocess.Popen[bytes] | None = None
    ready_seconds: float | None = None

    def health(self) -> dict[str, Any]:
        """The JSON of GET /health; empty if there is none or nothing listens."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request("GET", "/health")
            content = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        finally:
            connection.close()
        return content if isinstance(content, dict) else {}


def loopback(url: str) -> Address:
    """The address of a URL. Raises FaceServiceError unless it is of this machine, because load on
    another's server is an attack."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port or 80
        found = {str(item[4][0]) for item in socket.getaddrinfo(host, port)} if host else set()
        local = bool(found) and all(ipaddress.ip_address(each).is_loopback for each in found)
    except (OSError, ValueError):
        local = False
    if parts.scheme != "http" or not local:
        raise FaceServiceError(f"--url {url}: only http on this machine, as http://127.0.0.1:8100")
    # The address itself, not the name: what was checked is what is called.
    return Address(LOOPBACK if LOOPBACK in found else found.pop(), port)


def free_port() -> int:
    """A port of the loopback interface on which nothing listens at the moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(variables: Mapping[str, str | None], python: str = sys.executable) -> Iterator[Address]:
    """Start a server on a free port and wait until it is ready; it is stopped at the end of the
    block, also on SIGTERM.

    variables: see `environment`. python: the interpreter. To be called on the main thread. Raises
    StartupError with the end of the server's log if it does not start.
    """
    port = free_port()
    own = {"HOST": LOOPBACK, "PORT": str(port)}
    with tempfile.TemporaryFile() as log, sigterm_exits():
        started = time.monotonic()
        process = subprocess.Popen(
            [python, "-m", "face_service.main"],
            env=environment(variables) | own,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            if not wait_until_ready(process, Address(LOOPBACK, port)):
                log.seek(0)
                words = log.read().decode(errors="replace").strip()
                raise StartupError(f"the server did not start:\n{words[-2000:]}")
            yield Address(LOOPBACK, port, process, time.monotonic() - started)
        finally:
            stop(process)


@contextmanager
def sigterm_exits() -> Iterator[None]:
    """Make SIGTERM raise SystemExit within the block; by default it ends the process without
    stopping its children."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def environment(variables: Mapping[str, str | None]) -> dict[str, str]:
    """The environment of this process, changed by `variables`; None removes one."""
    merged = {**os.environ, **variables}
    return {name: value for name, value in merged.items() if value is not None}


def wait_until_ready(process: subprocess.Popen[bytes], address: Address) -> bool:
    """Wait until /health says healthy; False if the process ends first or time is up."""
    deadline = time.monotonic() + READY_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        if address.health().get("status") == "healthy":
            return True
        time.sleep(0.05)
    return False


def stop(process: subprocess.Popen[Any]) -> None:
    """Send SIGTERM, and SIGKILL after STOP_TIMEOUT."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_seconds(pid: int) -> float | None:
    """User and system time of all threads of a process; None where there is no /proc/PID."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold spaces; utime and stime are fields 14 and 15.
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def peak_rss_mb(pid: int) -> float | None:
    """The peak of a process's resident memory in 10^6 bytes; None where there is no /proc/PID,
    and of a process that has ended and is not waited for yet, which has no memory.

    VmHWM, less `mapped_again`: weights that several sessions map are in memory only once.
    """
    process = Path(f"/proc/{pid}")
    try:
        peak = int((process / "status").read_text().partition("VmHWM:")[2].split()[0])
        maps = (process / "smaps").read_text()
    except (OSError, IndexError):
        return None
    return (peak - mapped_again(maps)) * 1024 / 1e6


def mapped_again(smaps: str) -> int:
    """Resident kilobytes that are counted more than once: of parts of files that are mapped again.
    smaps: the content of /proc/PID/smaps, proc_pid_smaps(5)."""
    seen: set[tuple[str, str, str]] = set()
    again = False
    kilobytes = 0
    for line in smaps.splitlines():
        name, *values = line.split()
        if name == "Rss:":
            kilobytes += int(values[0]) if again else 0
        elif not name.endswith(":"):  # address perms offset dev inode pathname
            _, offset, device, inode, *_ = values
            again = inode != "0" and (offset, device, inode) in seen
            seen.add((offset, device, inode))
    return kilobytes
