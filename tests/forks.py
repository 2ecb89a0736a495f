"""Processes of the product that have their imports behind them.

What the product imports is 0.3 to 2 seconds of a processor, more than most of what its tests do
with it, and they start hundreds. One process imports it once, has one thread, does nothing else,
and is forked for each. A fork has an environment, a folder, streams, signals and an end of its own,
by finalising the interpreter as every Python does. What Python does at its start, such as to read
PYTHONPATH, lies before the fork: a test of that starts a Python. Linux only.
"""

from __future__ import annotations

import atexit
import ctypes
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

ROOT = Path(__file__).resolve().parent.parent
IMPORTED = (
    "face_service.cli.comparing",
    "face_service.cli.detection",
    "face_service.main",
    "face_service.server",
    "face_service.tools.doctor.examination",
    "rich.markdown",
    "typer.rich_utils",
)
"""What the commands and the service import when they are called."""
PROGRAM = f"""
import gc, os, sys
gc.disable()  # what imports make stays
before = {{*os.environ}}
import {", ".join(IMPORTED)}
from tests.forks import fork_on_request, keep_modules
keep_modules()
gc.freeze()  # a fork that collects garbage would copy every page
gc.enable()
set_by_imports = {{name: os.environ[name] for name in {{*os.environ}} - before}}
program = fork_on_request(int(sys.argv[1]), set_by_imports)
if program:
    exec(program)
"""
MODULE = """
import runpy, sys
sys.modules.pop({0!r}, None)  # it is to run, not to be imported
runpy.run_module({0!r}, run_name="__main__", alter_sys=True)
"""
MOST_BYTES = 100_000
"""Of a request: room for the arguments and an environment."""


class Forked:
    """A process that was forked, with the part of subprocess.Popen that tests use.

    numbers: a pipe with a line for its process id and, once it has ended, one for its exit status.
    """

    def __init__(self, numbers: int) -> None:
        self._numbers = open(numbers)  # noqa: SIM115
        self._status: int | None = None
        self.pid = int(self._numbers.readline())

    def poll(self) -> int | None:
        """The exit status, None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """The exit status. Raises TimeoutExpired after `timeout` seconds."""
        if self._status is None:
            if not select.select([self._numbers], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"fork {self.pid}", timeout or 0)
            self._status = int(self._numbers.readline())
            self._numbers.close()
        return self._status

    def send_signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self.poll() is None:
            # It may have ended while its exit status is still on the way.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM, if it runs."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        self.send_signal(signal.SIGKILL)


def fork(
    program: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    stdout: int,
    stderr: int,
) -> Forked:
    """`python -c PROGRAM ARGUMENT...` with this environment, in this folder; stdout and stderr are
    descriptors."""
    request = [program, list(arguments), dict(environment), str(folder)]
    reading, writing = os.pipe()
    socket.send_fds(connection(), [json.dumps(request).encode()], [stdout, stderr, writing])
    os.close(writing)
    return Forked(reading)


@functools.cache
def connection() -> socket.socket:
    """To the process that forks, which is started with the first of them and ends with pytest."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(there.fileno())],
            # What Python takes from an environment at its start is none of a test's.
            env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
            | {"PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[there.fileno()],
        )
    atexit.register(process.wait, 60)
    atexit.register(here.close)
    return here


def keep_modules() -> None:
    """Have the end of a fork leave alone what was imported before it: to take that apart would copy
    its pages, two fifths of what a fork costs that does nothing else."""
    kept = {name: module for name, module in sys.modules.items() if name != "__main__"}
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    atexit.register(lambda: [sys.modules.pop(name, None) for name in kept])


def fork_on_request(descriptor: int, set_by_imports: dict[str, str]) -> str | None:
    """Fork for each request and tell how each fork ended, until nobody can ask any more.

    Returns the program in each fork, and None in this process. set_by_imports: variables of the
    environment that a fork has besides its own.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends pytest, which ends this
    requests = socket.socket(fileno=descriptor)
    forks: dict[int, tuple[int, int]] = {}
    """By pidfd: the process id, and the pipe of `Forked`."""
    while True:
        for ready in select.select([requests, *forks], [], [])[0]:
            if ready is not requests:
                pid, numbers = forks.pop(ready)
                tell(numbers, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                os.close(numbers)
                os.close(ready)
                continue
            request, given, *_ = socket.recv_fds(requests, MOST_BYTES, 3)
            if not request:
                return None
            stdout, stderr, numbers = given
            if pid := os.fork():
                os.close(stdout)
                os.close(stderr)
                tell(numbers, pid)
                forks[os.pidfd_open(pid)] = (pid, numbers)
                continue
            requests.close()
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            os.closerange(3, max([*given, *forks, *(pipe for _, pipe in forks.values())]) + 1)
            program, arguments, environment, folder = json.loads(request)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(set_by_imports | environment)
            sys.argv[1:] = arguments
            return str(program)


def tell(pipe: int, number: int) -> None:
    """Write a line, if somebody still reads."""
    with suppress(BrokenPipeError):
        os.write(pipe, b"%d\n" % number)
