"""platform/Dockerfile by hand: what it copies and runs, in a folder; its command, as its user."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import npm
from tests.conftest import ROOT
from tests.server import free_port
from tests.test_compose import compose
from tests.test_containers import PLATFORM, instructions, last, variables
from tests.wire import settled

from .backend import psql

PASSWORD = "password-of-the-image"


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """The root of the container: /app lies below it. Only what is sent to the builder is copied."""
    with tempfile.TemporaryDirectory(prefix="image-") as name:
        root = Path(name)
        root.chmod(0o711)
        sent = (ROOT / f"{PLATFORM}.dockerignore").read_text().splitlines()
        folder = root
        for word, rest in instructions(PLATFORM):
            if word == "WORKDIR":
                folder = root / rest.lstrip("/")
                folder.mkdir(parents=True)
            elif word == "COPY":
                *sources, target = rest.split()
                for source in sources:
                    assert f"!{source}" in sent
                    put(ROOT / source, folder, target)
            elif word == "RUN":
                for command in rest.split("&&"):
                    run(command.strip(), root, folder)
        yield root


def put(source: Path, folder: Path, target: str) -> None:
    """COPY of a file into a folder, or of what is in a folder."""
    if source.is_dir():
        shutil.copytree(source, folder / target)
    else:
        shutil.copy(source, folder / target)


def run(command: str, root: Path, folder: Path) -> None:
    """What belongs to this application; Debian's packages are the machine's."""
    program = command.split()[0]
    if program not in ("install", "npm") or "cache clean" in command:
        return
    if program == "install" and os.geteuid() != 0:
        command = command.replace("-o 1000 -g 1000", "")
    npm.npm()
    done = subprocess.run(
        command.replace(" /app", f" {root}/app"),
        shell=True, cwd=folder, env={**os.environ, **npm.certificates()},
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode and program == "npm":
        pytest.skip(f"{command} failed:\n{done.stderr[-500:]}")
    assert done.returncode == 0, done.stderr


def environment(root: Path, database: str) -> dict[str, str]:
    """What the image and docker-compose.yml set; hosts and ports are this machine's."""
    given = dict(setting.split("=", 1) for setting in compose()["platform"]["environment"])
    assert given.keys() == {"DATABASE_URL", "FACE_SERVICE_URL", "PLATFORM_PASSWORD"}
    given |= {
        "DATABASE_URL": database,
        "FACE_SERVICE_URL": f"http://127.0.0.1:{free_port()}",  # not there yet
        "PLATFORM_PASSWORD": PASSWORD,
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "PATH": os.environ["PATH"],
    }
    image = {
        name: value.replace("/app", f"{root}/app") for name, value in variables(PLATFORM).items()
    }
    return image | given


def test_the_image_serves_as_its_user_on_a_root_that_it_cannot_write(
    root: Path, database_url: str
) -> None:
    database = f"{database_url.rsplit('/', 1)[0]}/image"
    assert psql(database_url, "CREATE DATABASE image").returncode == 0
    user, _, group = last(PLATFORM, "USER").partition(":")
    identity = {"user": int(user), "group": int(group)} if os.geteuid() == 0 else {}
    log = (root / "log").open("w")
    settings = environment(root, database)
    served = subprocess.Popen(
        json.loads(last(PLATFORM, "CMD")), cwd=root / "app" / "platform", env=settings,
        stdout=log, stderr=log, extra_groups=[] if identity else None, **identity,
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{settings['PORT']}", timeout=30) as client:

            def answers() -> bool:
                assert served.poll() is None, (root / "log").read_text()
                try:
                    return client.get("/api/health").is_success
                except httpx.TransportError:
                    return False

            settled(answers, 60)
            assert "<title>" in client.get("/").text
            login = {"name": "admin", "password": PASSWORD}
            client.post("/api/login", json=login).raise_for_status()
            files = {"files": ("a.mp4", b"no video")}
            [made] = client.post("/api/videos", files=files).raise_for_status().json()
            assert [file.read_bytes() for file in (root / "app" / "data").iterdir()] == [
                b"no video"
            ]
            settled(lambda: client.get(f"/api/videos/{made['id']}").json()["state"] == "failed", 60)
        served.send_signal(getattr(signal, last(PLATFORM, "STOPSIGNAL")))
        assert served.wait(30) == 0
    finally:
        served.kill()
        served.wait()
        log.close()
    if identity:
        written = [path for path in root.rglob("*") if path.lstat().st_uid == int(user)]
        assert {path.parent for path in written if path != root / "app" / "data"} <= {
            root / "app" / "data"
        }
