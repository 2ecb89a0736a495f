"""Nothing leaves the machine, and nothing is written outside MODEL_CACHE_DIR.

ONNX Runtime 1.29 and later reports to Microsoft while it is imported, unless CI is set or
ORT_DISABLE_TELEMETRY is: no environment here has either.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from face_service.packs.pack import Pack
from tests.server import Server

REPORTING_S = 12
"""A program that may report does so within ten seconds, or when it ends."""
COMMAND = (sys.executable, "-c", "from face_service.cli import main; main()")
CALLS = "connect,sendto,sendmsg,sendmmsg"
# By seccomp the kernel stops a process at these calls alone: a stop at each doubles what it takes.
TRACE = ("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-e", f"trace={CALLS}", "-o")
ELSEWHERE = re.compile(
    r'sin_addr=inet_addr\("(?!127\.)|inet_pton\(AF_INET6, "(?!::1"|::ffff:127\.)|nscd|resolve'
)
"""In strace's lines: an address that is not this machine's, or whoever looks up names here."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty HOME."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Where strace writes; skips where it cannot look on."""
    file = tmp_path / "trace"
    if reason := why_not_traced(file):
        pytest.skip(reason)
    return file


def why_not_traced(file: Path) -> str | None:
    if shutil.which("strace") is None:
        return "strace is not installed (Debian package strace)"
    if subprocess.run([*TRACE, file, "true"], capture_output=True).returncode:
        return "strace may not trace processes here"
    return None


def files_in(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*") if path.name != "log"]


def addresses_in(trace: Path) -> list[str]:
    return [line for line in trace.read_text().splitlines() if ELSEWHERE.search(line)]


@dataclass
class Served:
    """What a service has done that has analysed a photo and ended: files in its home and beside
    it; its trace, or why there is none."""

    files: list[Path]
    trace: Path
    untraced: str | None


@pytest.fixture(scope="module", autouse=True)
def serving(
    start_server: Callable[..., Server], four_faces: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Served]:
    """A service that has analysed a photo before the first test; it is ended by the call. While the
    commands are tried it has time to report."""
    folder = tmp_path_factory.mktemp("served")
    home, trace, python = folder / "home", folder / "trace", folder / "python"
    home.mkdir()
    untraced = why_not_traced(trace)
    command = [sys.executable] if untraced else [*TRACE, str(trace), sys.executable]
    python.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    python.chmod(0o755)
    server = start_server(python=python, HOME=str(home))
    server.wait_until_ready()
    jpeg = {"Content-Type": "image/jpeg"}
    answer = server.client.post("/detect", content=four_faces.read_bytes(), headers=jpeg)
    assert answer.json()["faces"]
    analysed = time.monotonic()

    def end() -> Served:
        time.sleep(max(0.0, analysed + REPORTING_S - time.monotonic()))
        assert server.stop() == 0
        return Served(files_in(home, server.folder), trace, untraced)

    return end


@pytest.fixture(scope="module")
def served(serving: Callable[[], Served]) -> Served:
    return serving()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param("detect PHOTO", id="detect"),
        pytest.param("compare PHOTO PHOTO", id="compare"),
        pytest.param("models list", id="models list"),
        pytest.param("models verify starter", id="models verify"),
        pytest.param("doctor", id="doctor"),
        pytest.param("bench --requests 2 --clients 1 --bare 0.1", id="bench"),
    ],
)
def test_a_command_writes_nothing_to_the_home_and_calls_nobody(
    arguments: str, open_pack: Pack, four_faces: Path, home: Path, trace: Path, tmp_path: Path
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "INSIGHTFACE_MODEL": open_pack.name,
        "MODEL_CACHE_DIR": str(open_pack.directory.parent),
        "DET_GATE": "off",
    }
    folder = tmp_path / "here"
    folder.mkdir()
    words = arguments.replace("PHOTO", str(four_faces)).split()
    done = subprocess.run(
        [*TRACE, trace, *COMMAND, *words],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert files_in(home, folder) == []
    assert addresses_in(trace) == []


def test_what_the_operator_says_of_reports_stands() -> None:
    command = "import face_service, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for given, expected in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        found = subprocess.run(
            [sys.executable, "-c", command], env=given, capture_output=True, text=True, check=True
        )
        assert found.stdout.strip() == expected


def test_a_service_writes_nothing_to_the_home_or_beside_it(served: Served) -> None:
    assert served.files == []


def test_a_service_looks_up_no_name_and_calls_nobody(served: Served) -> None:
    if served.untraced:
        pytest.skip(served.untraced)
    assert addresses_in(served.trace) == []
