"""The server under load: on this machine alone, its CPU time and memory, its start and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from face_service.errors import FaceServiceError, StartupError
from face_service.packs.pack import Pack
from face_service.tools.bench.server import cpu_seconds, loopback, peak_rss_mb, running


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:81", "http://localhost:81", "http://127.8.9.1:81"]
)
def test_loopback_is_accepted(url: str) -> None:
    address = loopback(url)
    assert address.host.startswith("127.")
    assert address.port == 81


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.7:8100",
        "http://0.0.0.0:8100",
        "http://[2001:db8::1]:8100",
        "http://10.0.0.1",
        "https://127.0.0.1:8100",
        "http://127.0.0.1@192.0.2.7:8100",
        "http://127.0.0.1:99999",
        "127.0.0.1:8100",
        "http://",
        "",
    ],
)
def test_load_on_another_machine_is_refused(url: str) -> None:
    with pytest.raises(FaceServiceError, match="only http on this machine"):
        loopback(url)


def test_cpu_time_of_a_process_counts_every_thread() -> None:
    code = "import hashlib, threading, time\n" + (
        "work = lambda: hashlib.pbkdf2_hmac('sha256', b'', b'', 600_000)\n"
        "threads = [threading.Thread(target=work) for _ in range(2)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "print(time.process_time(), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        own = float(process.stdout.readline())
        assert cpu_seconds(process.pid) == pytest.approx(own, abs=0.05)
        assert 5 < peak_rss_mb(process.pid) < 500
        process.communicate("\n")
    assert cpu_seconds(2**22 + 1) is None
    assert peak_rss_mb(2**22 + 1) is None


def test_a_process_that_has_ended_has_no_memory() -> None:
    """And is there until it is waited for."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert cpu_seconds(process.pid) is not None
        assert peak_rss_mb(process.pid) is None


MAPPED = """
import mmap, sys, time
with open(sys.argv[1], "rb") as file:
    maps = [mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) for _ in range(4)]
    assert all(sum(each[::4096]) == 0 for each in maps)
    print("mapped", flush=True)
    input()
"""


def test_what_is_mapped_several_times_is_in_memory_once(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(bytes(100_000_000))
    with subprocess.Popen(
        [sys.executable, "-c", MAPPED, tmp_path / "weights"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "mapped\n"
        assert 100 < peak_rss_mb(process.pid) < 150
        process.communicate("\n")


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(StartupError, match="DET_SIZE=641 is not allowed"),
        running({"DET_SIZE": "641", "INSIGHTFACE_MODEL": "starter"}),
    ):
        pass


def test_sigterm_leaves_no_server_behind(starter: Pack) -> None:
    code = (
        "import time\nfrom face_service.tools.bench.server import running\n"
        "with running({}) as server:\n"
        "    print(server.process.pid, flush=True); time.sleep(60)"
    )
    variables = {
        "INSIGHTFACE_MODEL": starter.name,
        "MODEL_CACHE_DIR": str(starter.directory.parent),
    }
    with subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, **variables}, stdout=subprocess.PIPE
    ) as process:
        pid = int(process.stdout.readline())
        assert cpu_seconds(pid) is not None
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    assert cpu_seconds(pid) is None
