"""The parts of the platform as processes of their own, and their CPU time."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.conftest import ROOT
from tests.platform.backend import Backend
from tests.platform.conftest import PLATFORM, FaceService


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[str, int]]:
    """A PostgreSQL with pgvector as platform.sh starts it: its address, and what started it."""
    folder.chmod(0o711)
    command = [sys.executable, ROOT / "scripts" / "postgres.py", folder / "postgres"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    url = folder / "postgres" / "url"
    try:
        while not url.exists():
            if process.poll() is not None:
                raise SystemExit((folder / "log").read_text())
            time.sleep(0.1)
        yield url.read_text(), process.pid
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True)
class Parts:
    """All of them, and a folder to work in."""

    backend: Backend
    service: FaceService
    folder: Path
    database: int

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time of each part until now; FFmpeg is the backend's only child."""
        bun = psutil.Process(self.backend.process.pid)
        # Children first: one that has just ended is in what its parent says.
        servers = reversed(psutil.Process(self.database).children(recursive=True))
        return {
            "face service": own(psutil.Process(self.service.server.process.pid)),
            "FFmpeg": ended(bun),
            "Bun": own(bun),
            "PostgreSQL": sum(spent(process) for process in servers),
        }

    def wait_until_done(self) -> None:
        """In one statement: every question would cost PostgreSQL a process."""
        self.backend.query("""
            DO $$ BEGIN
              WHILE EXISTS (SELECT FROM jobs) LOOP COMMIT; PERFORM pg_sleep(1); END LOOP;
            END $$""")


@contextmanager
def parts(**settings: str) -> Iterator[Parts]:
    """A service of `starter` with its own number of threads, PostgreSQL, and a backend with these
    settings. What has been started ends, also where a later part does not start."""
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="platform-")))
        url, database = ends.enter_context(postgres(folder))
        (folder / "service").mkdir()
        service = FaceService("starter", ROOT / "models", folder / "service", threads=0)
        ends.callback(service.stop)
        service.server.wait_until_ready()
        data = Path(tempfile.mkdtemp(prefix="backend-"))
        ends.callback(shutil.rmtree, data)
        settings = {"FACE_SERVICE_URL": service.url, **settings}
        bun = PLATFORM / "node_modules" / ".bin" / "bun"
        backend = Backend(bun, PLATFORM, data, url, settings)
        ends.callback(backend.close)
        yield Parts(backend, service, folder, database)


def spent(process: psutil.Process) -> float:
    """CPU seconds of a process and of those that it has started; 0 where it has just ended."""
    try:
        return own(process) + ended(process)
    except psutil.NoSuchProcess:
        return 0


def own(process: psutil.Process) -> float:
    """CPU seconds of a process."""
    times = process.cpu_times()
    return float(times.user + times.system)


def ended(process: psutil.Process) -> float:
    """CPU seconds of the processes that it has started and that have ended."""
    times = process.cpu_times()
    return float(times.children_user + times.children_system)
