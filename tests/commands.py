"""Commands of the product, as processes that have their imports behind them.

What a command imports is 0.3 to 2 seconds of a processor, more than most of what it does, and tests
start two hundred. One process imports it once and is forked for each. A fork is a process with an
environment, a folder, streams, signals and an end of its own. What Python does at its start, such
as to read PYTHONPATH, lies before the fork: a test of that starts a Python.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TextIO

ROOT = Path(__file__).resolve().parent.parent
MAIN = "from face_service.cli import main; main()"
IMPORTED = (
    "face_service.cli.comparing",
    "face_service.cli.detection",
    "face_service.main",
    "face_service.tools.doctor.examination",
    "rich.markdown",
    "typer.rich_utils",
)
"""What the commands import when they are called."""
PROGRAM = f"""
import gc, os, sys
before = {{*os.environ}}
import {", ".join(IMPORTED)}
from tests.commands import fork_for_requests
gc.collect()
gc.freeze()  # a fork that collects garbage would copy every page
set_by_imports = {{name: os.environ[name] for name in {{*os.environ}} - before}}
exec(fork_for_requests(int(sys.argv[1]), set_by_imports))
"""
"""Only a fork gets as far as to exec, and it ends as any Python ends."""
MOST_BYTES = 100_000
"""Of a request: room for the arguments and an environment."""


class Command:
    """A command that runs.

    numbers: a pipe with a line for the process id and, once it has ended, one for the exit status.
    """

    def __init__(self, arguments: Sequence[str], numbers: TextIO, said: Sequence[BinaryIO]) -> None:
        self._arguments, self._numbers, self._said = arguments, numbers, said
        self.pid = int(numbers.readline())

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not select.select([self._numbers], [], [], 0)[0]

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def wait(self, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """How it ended, and what it said. timeout: seconds, after which it is killed."""
        late = not select.select([self._numbers], [], [], timeout)[0]
        if late:
            self.kill()
        with self._numbers:
            status = int(self._numbers.readline())
        said = []
        for file in self._said:
            with file:
                file.seek(0)
                said.append(file.read().decode())
        assert not late, f"{self._arguments} took longer than {timeout} s:\n{said}"
        return subprocess.CompletedProcess(self._arguments, status, *said)


def start(
    arguments: Sequence[object],
    environment: Mapping[str, str],
    folder: Path,
    stdout: int | None = None,
    program: str = MAIN,
) -> Command:
    """Start `face-service ARGUMENT...` in a folder. One command runs at a time.

    stdout: a descriptor to write to, instead of a file. program: another one, in Python.
    """
    given = [*map(str, arguments)]
    order = {
        "arguments": given,
        "environment": dict(environment),
        "folder": str(folder),
        "program": program,
    }
    said = [os.fdopen(os.memfd_create(name), "w+b") for name in ("stdout", "stderr")]
    streams = [file.fileno() for file in said]
    if stdout is not None:
        streams[0] = stdout
    numbers, its = os.pipe()
    socket.send_fds(forks(), [json.dumps(order).encode()], [*streams, its])
    os.close(its)
    return Command(given, os.fdopen(numbers), said)


def run(
    arguments: Sequence[object],
    environment: Mapping[str, str],
    folder: Path,
    program: str = MAIN,
) -> subprocess.CompletedProcess[str]:
    """Start a command and wait for its end."""
    return start(arguments, environment, folder, program=program).wait()


@functools.cache
def forks() -> socket.socket:
    """The connection to the process that is forked, started with the first command."""
    connection, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(its.fileno())],
            # What Python takes from an environment at its start is none of a test's.
            env={name: os.environ[name] for name in ("PATH", "HOME")},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
        )
    atexit.register(process.wait, 60)
    atexit.register(connection.close)
    return connection


def fork_for_requests(descriptor: int, set_by_imports: dict[str, str]) -> str:
    """Fork for each request of a socket, one after the other.

    Returns in a fork, with its program. The process itself ends with the connection.
    set_by_imports: variables of the environment that a command has besides its own.
    """
    with socket.socket(fileno=descriptor) as connection:
        while True:
            request, given, *_ = socket.recv_fds(connection, MOST_BYTES, 3)
            if not request:
                os._exit(0)
            pid = os.fork()
            if pid == 0:
                break
            *streams, numbers = given
            for stream in streams:
                os.close(stream)
            with suppress(BrokenPipeError), os.fdopen(numbers, "w") as telling:
                print(pid, file=telling, flush=True)
                status = os.waitpid(pid, 0)[1]
                print(os.waitstatus_to_exitcode(status), file=telling)
    stdout, stderr, numbers = given
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.closerange(3, max(given) + 1)
    order = json.loads(request)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(set_by_imports | order["environment"])
    sys.argv[1:] = order["arguments"]
    return str(order["program"])
