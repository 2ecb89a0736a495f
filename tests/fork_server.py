"""`python -m tests.fork_server DESCRIPTOR`: imports the service once and forks servers from itself,
which spares each start the imports, most of what it costs.

What forks has one thread and has done nothing but import. A server from it differs from
`python -m MODULE` by its command line, and by pages of memory that it shares; it ends as every
Python does, by finalising the interpreter. Linux only.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

IMPORTED = "face_service.main"
REQUEST_BYTES = 100_000
"""The most that a request may be."""


class ForkServer:
    """The process that forks. environment: of it, what its imports read. folder: where it runs."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._requests, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(other.fileno())],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
            )

    def start(self, module: str, environment: Mapping[str, str], folder: Path, log: Path) -> Forked:
        """`python -m MODULE` with this environment, in this folder, stdout and stderr in `log`."""
        log.touch()
        request = [module, dict(environment), str(folder), str(log)]
        reading, writing = os.pipe()
        socket.send_fds(self._requests, [json.dumps(request).encode()], [writing])
        os.close(writing)
        return Forked(module, reading)

    def stop(self) -> None:
        """End it. Servers that still run lose nothing by it."""
        self._requests.close()
        self._process.wait()


class Forked:
    """A server that was forked, with the part of subprocess.Popen that tests use.

    numbers: a pipe with a line for its process id and, once it has ended, one for its exit status.
    """

    def __init__(self, module: str, numbers: int) -> None:
        self._module = module
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
                raise subprocess.TimeoutExpired(self._module, timeout or 0)
            self._status = int(self._numbers.readline())
            self._numbers.close()
        return self._status

    def send_signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM, if it runs."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        self.send_signal(signal.SIGKILL)


def fork_on_request(requests: socket.socket) -> str | None:
    """Fork for each request and tell how each fork ended, until nobody can ask any more.

    Returns twice: the module to run in each fork, None in this process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends pytest, which ends this
    before = set(os.environ)
    __import__(IMPORTED)
    del sys.modules[IMPORTED]  # it is to run, not to be imported
    set_by_imports = {name: os.environ[name] for name in set(os.environ) - before}
    gc.collect()
    gc.freeze()  # a fork that collects garbage would copy every page
    forks: dict[int, tuple[int, int]] = {}
    """By pidfd: the process id, and the pipe of `Forked`."""
    while True:
        for ready in select.select([requests, *forks], [], [])[0]:
            if ready is not requests:
                pid, pipe = forks.pop(ready)
                tell(pipe, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                os.close(pipe)
                os.close(ready)
                continue
            message, pipes, *_ = socket.recv_fds(requests, REQUEST_BYTES, 1)
            if not message:
                return None
            module, environment, folder, log = json.loads(message)
            if pid := os.fork():
                tell(*pipes, pid)
                forks[os.pidfd_open(pid)] = (pid, *pipes)
            else:
                requests.close()
                os.closerange(3, max([*pipes, *forks, *(pipe for _, pipe in forks.values())]) + 1)
                become(set_by_imports | environment, folder, log)
                return str(module)


def tell(pipe: int, number: int) -> None:
    """Write a line, if somebody still reads."""
    with suppress(BrokenPipeError):
        os.write(pipe, b"%d\n" % number)


def become(environment: dict[str, str], folder: str, log: str) -> None:
    """Be as a Python is that begins with this environment in this folder."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    sys.path[0] = folder
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)


if __name__ == "__main__":
    if module := fork_on_request(socket.socket(fileno=int(sys.argv.pop()))):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
