"""./platform.sh: one command for all of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from face_service.packs.pack import Pack
from tests.conftest import ROOT
from tests.server import free_port


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_one_command_starts_everything_and_ends_it(
    bun: Path, ffmpeg: str, starter: Pack, four_faces: Path, number: signal.Signals
) -> None:
    """Where it is told to end, and where it is killed."""
    environment = {
        key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "FFMPEG")
    }
    with tempfile.TemporaryDirectory(prefix="platform-") as folder:
        Path(folder).chmod(0o711)
        log = Path(folder) / "log"
        environment |= {
            "PLATFORM_HOME": folder,
            "PORT": str(free_port()),
            "FACE_SERVICE_PORT": str(free_port()),
            "MODEL_CACHE_DIR": str(starter.directory.parent),
            "WORKERS": "1",  # networks are loaded once, not for each worker and number of threads
            "INTRA_OP_THREADS": "1",
            "DET_GATE": "off",  # or it would make one meanwhile: a minute of a processor
        }
        with log.open("w") as output:
            platform = subprocess.Popen(
                [ROOT / "platform.sh"],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            look_around(f"http://127.0.0.1:{environment['PORT']}", log, four_faces)
        finally:
            platform.send_signal(number)
            status = platform.wait(60)
        assert status == (0 if number == signal.SIGTERM else -number), log.read_text()
        # Nothing is left running: nobody is in its session any more.
        deadline = time.monotonic() + (0 if number == signal.SIGTERM else 60)
        while anybody_in(platform.pid):
            assert time.monotonic() <= deadline, log.read_text()
            time.sleep(0.2)


def anybody_in(session: int) -> bool:
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True


def look_around(url: str, log: Path, photo: Path) -> None:
    """Log in with the password of the log, and hand in a picture."""
    deadline = time.monotonic() + 300
    while not (found := re.search(r"First user admin, password ([\w-]+)", log.read_text())):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    with httpx.Client(base_url=url, timeout=60) as client:
        wait_for(lambda: client.get("/api/health").status_code == 200, log)
        login = {"name": "admin", "password": found[1]}
        assert client.post("/api/login", json=login).status_code == 200
        files = {"files": ("photo.jpg", photo.read_bytes())}
        [made] = client.post("/api/videos", files=files).json()
        path = f"/api/videos/{made['id']}"
        wait_for(lambda: client.get(path).json()["state"] == "done", log)
        assert len(client.get(path).json()["people"]) == 4
        assert len(client.get("/api/groups").json()) == 4


def wait_for(holds: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
