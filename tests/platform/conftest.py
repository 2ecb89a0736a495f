"""The platform as it is: PostgreSQL, a face service, the backend; each a process of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from face_service.packs.pack import Pack
from tests import npm
from tests.conftest import ROOT
from tests.server import Server, free_port

from .backend import Backend

PLATFORM = ROOT / "platform"


@pytest.fixture(scope="session")
def bun() -> Path:
    """Bun, and what platform/package-lock.json pins beside it."""
    stamp = npm.install(PLATFORM)
    # platform.sh has nothing to install either.
    lock = hashlib.sha256((PLATFORM / "package-lock.json").read_bytes()).hexdigest()
    stamp.with_name(".stamp").write_text(f"{lock}  -\n")
    return PLATFORM / "node_modules" / ".bin" / "bun"


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """FFmpeg, with what clips are made of."""
    found = shutil.which("ffmpeg")
    if found is None:
        pytest.skip("ffmpeg is not installed (Debian package ffmpeg)")
    encoders = subprocess.run([found, "-v", "error", "-encoders"], capture_output=True, text=True)
    filters = subprocess.run([found, "-v", "error", "-filters"], capture_output=True, text=True)
    for word, told in (("libx264", encoders.stdout), ("zscale", filters.stdout)):
        if word not in told:
            pytest.skip(f"this ffmpeg has no {word}")
    return found


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """A PostgreSQL with pgvector, as platform.sh starts it."""
    with tempfile.TemporaryDirectory(prefix="platform-") as folder:
        Path(folder).chmod(0o711)
        url = Path(folder) / "postgres" / "url"
        command = [sys.executable, ROOT / "scripts" / "postgres.py", url.parent]
        log = Path(folder) / "log"
        with log.open("w") as output:
            server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while not url.exists():
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield url.read_text()
        server.terminate()
        server.wait(60)


class FaceService:
    """A face service that can be killed and started again, on the same port. threads: of its
    networks; 1 by default, so that they are loaded once, not for each worker and number of threads.
    """

    def __init__(self, pack: str, packs: Path, folder: Path, threads: int = 1) -> None:
        self.port, self._pack, self._packs, self._folder = free_port(), pack, packs, folder
        self.url, self._threads = f"http://127.0.0.1:{self.port}", str(threads)
        self.start()

    def start(self) -> None:
        """Returns before it is ready."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "INSIGHTFACE_MODEL": self._pack,
            "MODEL_CACHE_DIR": str(self._packs),
            "WORKERS": self._threads,
            "INTRA_OP_THREADS": self._threads,
            "DET_GATE": "off",  # or it would make one meanwhile: a minute of a processor
        }
        self.server = Server(environment, self._folder, forked=sys.platform == "linux")

    def kill(self) -> None:
        """SIGKILL."""
        self.server.client.close()
        self.server.process.kill()
        self.server.process.wait()

    def stop(self) -> None:
        """SIGTERM."""
        self.server.stop()


@pytest.fixture(scope="session")
def face_service(
    open_pack: Pack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaceService]:
    """One that computes with `open`."""
    folder = tmp_path_factory.mktemp("face-service")
    service = FaceService(open_pack.name, open_pack.directory.parent, folder)
    try:
        service.server.wait_until_ready()
        yield service
    finally:
        service.stop()


@pytest.fixture(scope="module")
def start_backend(
    bun: Path, ffmpeg: str, database_url: str, face_service: FaceService
) -> Iterator[Callable[..., Backend]]:
    """Starts backends, each with an empty database and folder of its own. They end with the module:
    thirty that nobody asks any more take connections, and look for work."""
    made: list[Backend] = []

    def start(**settings: str) -> Backend:
        folder = Path(tempfile.mkdtemp(prefix="backend-"))
        settings = {"FACE_SERVICE_URL": face_service.url, **settings}
        made.append(Backend(bun, PLATFORM, folder, database_url, settings))
        return made[-1]

    yield start
    for backend in made:
        backend.close()
        shutil.rmtree(backend.folder)


@pytest.fixture(scope="module")
def backend(start_backend: Callable[..., Backend]) -> Backend:
    """One for the tests of a file, which do things to it in turn."""
    return start_backend()


@dataclass(frozen=True)
class Photos:
    """Photos of people by name: `photos("Ana_Guevara", 2)` is her third."""

    folder: Path

    def __call__(self, person: str, number: int) -> Path:
        return sorted((self.folder / person).glob("*.jpg"))[number]


@pytest.fixture(scope="session")
def photos(shared: Path) -> Photos:
    """60 people, 4 photos each."""
    return Photos(shared / "faces" / "lfw")
