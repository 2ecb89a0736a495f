"""Commands of the product: forks of a process that has imported what they need."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from tests.forks import Forked, fork

MAIN = "from face_service.cli import main; main()"


class Command:
    """A command that runs. said: what it writes to stdout and stderr."""

    def __init__(self, arguments: Sequence[str], process: Forked, said: Sequence[BinaryIO]) -> None:
        self._arguments, self.process, self._said = arguments, process, said

    def wait(self, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """How it ended, and what it said. timeout: seconds, after which it is killed."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        said = []
        for file in self._said:
            with file:
                file.seek(0)
                said.append(file.read().decode())
        return subprocess.CompletedProcess(self._arguments, status, *said)


def start(
    arguments: Sequence[object],
    environment: Mapping[str, str],
    folder: Path,
    stdout: int | None = None,
    program: str = MAIN,
) -> Command:
    """Start `face-service ARGUMENT...` in a folder.

    stdout: a descriptor to write to, instead of a file. program: another one, in Python.
    """
    given = [*map(str, arguments)]
    said = [os.fdopen(os.memfd_create(name), "w+b") for name in ("stdout", "stderr")]
    out, err = (file.fileno() for file in said)
    out = out if stdout is None else stdout
    return Command(given, fork(program, given, environment, folder, out, err), said)


def run(
    arguments: Sequence[object],
    environment: Mapping[str, str],
    folder: Path,
    program: str = MAIN,
) -> subprocess.CompletedProcess[str]:
    """Start a command and wait for its end."""
    return start(arguments, environment, folder, program=program).wait()


def output(program: str, folder: Path, *arguments: object) -> str:
    """What a program in Python prints, which imports the product within no time. Its memory is
    that of a process that has imported it and done nothing yet."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = run(arguments, environment, folder, program)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
