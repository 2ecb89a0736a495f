"""The backend as a process, and its API as a person at a browser uses it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import httpx
from scripts.postgres import installation

from tests.server import free_port

T = TypeVar("T")
PASSWORD = "password-of-these-tests"


class Backend:
    """Bun with platform/src/main.ts; it can be killed, and started again on its data."""

    def __init__(
        self, bun: Path, project: Path, folder: Path, server: str, settings: dict[str, str]
    ) -> None:
        self.folder, self._command = folder, [bun, project / "src" / "main.ts"]
        self.port = free_port()
        name = folder.name.replace("-", "_")
        self._environment = {
            **os.environ,
            "PORT": str(self.port),
            "DATABASE_URL": f"{server.rsplit('/', 1)[0]}/{name}",
            "DATA_DIR": str(folder / "uploads"),
            "PLATFORM_PASSWORD": PASSWORD,
            "LEASE_S": "2",
            "JOBS": "1",  # what was asked first is done first
            "LOG_LEVEL": "warn",
            **settings,
        }
        self.database = self._environment["DATABASE_URL"]
        self.uploads = Path(self._environment["DATA_DIR"])
        if "DATABASE_URL" not in settings:
            self.query(f"CREATE DATABASE {name}", server)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        self.start()
        try:
            self.log_in()
        except BaseException:
            self.kill()
            raise

    def start(self, **changed: str) -> None:
        """Returns when it answers. changed: settings of this start; an empty one is left out."""
        environment = {k: v for k, v in {**self._environment, **changed}.items() if v}
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                self._command, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self.until(self._answers, 60)
        except BaseException:
            self.kill()
            raise

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            return self.http.get("/api/health").status_code == 200
        except httpx.TransportError:
            return False

    def log_in(self) -> None:
        """The session's cookie is kept, also over a restart."""
        self.post("/api/login", json={"name": "admin", "password": PASSWORD})

    def log(self) -> str:
        """Everything it has printed."""
        return (self.folder / "log").read_text()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, then the exit status."""
        self.process.terminate()
        return self.process.wait(30)

    def close(self) -> None:
        """It is over."""
        self.stop()
        self.http.close()

    def query(self, statement: str, database: str | None = None) -> list[list[str]]:
        """Rows straight from the database, as text."""
        done = psql(database or self.database, statement)
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def refusal(self, statement: str) -> str:
        """Why the database does not do that."""
        done = psql(self.database, statement)
        assert done.returncode, f"not refused: {statement}"
        return done.stderr

    def get(self, path: str) -> Any:
        """What a GET answers."""
        return self._checked(self.http.get(path))

    def post(self, path: str, **body: Any) -> Any:
        """What a POST answers."""
        return self._checked(self.http.post(path, **body))

    def put(self, path: str, json: Any) -> None:
        """A PUT that is taken."""
        self._checked(self.http.put(path, json=json))

    def delete(self, path: str) -> None:
        """A DELETE that is done."""
        self._checked(self.http.delete(path))

    def _checked(self, response: httpx.Response) -> Any:
        assert response.is_success, f"{response.status_code} {response.text}\n{self.log()}"
        return response.json() if response.content else None

    def until(self, holds: Callable[[], T], seconds: float = 120) -> T:
        """Wait for something; what it is then."""
        deadline = time.monotonic() + seconds
        while not (value := holds()):
            assert time.monotonic() < deadline, f"waited for {seconds} s\n{self.log()}"
            time.sleep(0.1)
        return value

    def settled(self) -> None:
        """Wait until nothing is left to do."""
        self.until(
            lambda: self.query("SELECT count(*) FROM jobs WHERE state <> 'failed'") == [["0"]]
        )

    def enrol(self, name: str, photos: Iterable[Path]) -> int:
        """Somebody new, with the references that their photos give; the id."""
        creator: int = self.post("/api/creators", json={"name": name})["id"]
        files = [("files", (photo.name, photo.read_bytes())) for photo in photos]
        self.post(f"/api/creators/{creator}/photos", files=files)
        return creator

    def upload(self, file: Path) -> int:
        """Hand in a video; the id."""
        made = self.post("/api/videos", files={"files": (file.name, file.read_bytes())})
        return int(made[0]["id"])

    def analysed(self, video: int) -> dict[str, Any]:
        """Wait until a video is through; what is known of it."""

        def through() -> dict[str, Any] | None:
            found: dict[str, Any] = self.get(f"/api/videos/{video}")
            return found if found["state"] in ("done", "failed") else None

        found = self.until(through)
        assert found["state"] == "done", found["error"]
        return found


def psql(database: str, statement: str) -> subprocess.CompletedProcess[str]:
    """Run a statement with the psql of the package."""
    command = [installation() / "bin" / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-F", "\t"]
    return subprocess.run(
        [*command, "-d", database, "-c", statement], capture_output=True, text=True
    )


STRENGTH = ("rejected", "suggested", "automatic", "confirmed")


def tags(video: dict[str, Any]) -> dict[str, str]:
    """Who is tagged in a video, and how at best: `{"Ana_Guevara": "automatic"}`."""
    found = [tag for person in video["people"] for tag in person["tags"]]
    found.sort(key=lambda tag: STRENGTH.index(tag["state"]))
    return {tag["name"]: tag["state"] for tag in found}
