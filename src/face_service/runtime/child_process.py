"""Child processes: a request as a line of JSON on stdin, an answer as a line of JSON on stdout.

The parent keeps the child's stdin open for as long as it wants the child. When the parent ends, in
whatever way, the system closes it: the child sees the end of its stdin and ends, too.

`python child_process.py FOLDER COMMAND…` gives that property to a program that does not have it
(pip, npm). This module imports the standard library only, so that it also runs by its path, in an
environment in which the package `face_service` cannot be imported.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, cast

STDIN = 0
READ_SIZE = 65_536
"""Bytes of stdin that `end_with_parent` reads at once."""
KILL_TIMEOUT_S = 5.0
"""Seconds to wait for the end of a process that was killed. One that waits for a driver in the
kernel may never end."""


# In the parent.


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. status: its exit status, the negative number of the signal that ended
    it, or None where it was killed because its time was over. out, err: what it wrote."""

    status: int | None
    out: str
    err: str


def python_module(module: str, python: str = sys.executable) -> tuple[str, ...]:
    """The command that runs a module of this package.

    -P: a file in the working directory does not take the place of a module.
    """
    return (python, "-P", "-m", module)


def run_until(
    command: Sequence[str],
    line: str,
    seconds: float | None,
    stdout: IO[bytes],
    stderr: IO[bytes],
) -> int | None:
    """Run a program with `line` on its stdin, which stays open until it has ended.

    seconds: after which it is killed, with every process it has started; None for no limit. Returns
    its exit status (negative: a signal's number), None where it was killed. Raises OSError where it
    cannot be started.
    """
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, start_new_session=True
    )
    stdin = cast(IO[bytes], child.stdin)
    try:
        with suppress(BrokenPipeError):  # it has ended without reading
            stdin.write(line.encode() + b"\n")
            stdin.flush()
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if child.poll() is None:
            kill_session(child)
            with suppress(subprocess.TimeoutExpired):
                child.wait(KILL_TIMEOUT_S)
        with suppress(BrokenPipeError):
            stdin.close()


def run(
    command: Sequence[str], seconds: float | None, line: str = "", limit: int = -1
) -> Ended | None:
    """`run_until`, with what the program writes. None where it cannot be started.

    limit: bytes of stdout and of stderr that are read; all of them by default.
    """
    with _scratch_file() as out, _scratch_file() as err:
        try:
            status = run_until(command, line, seconds, out, err)
        except OSError:
            return None
        return Ended(status, _content(out, limit), _content(err, limit))


def kill_session(child: subprocess.Popen[Any]) -> None:
    """Kill a process that was started with `start_new_session`, and every process of its session's
    first group; on Windows, which has no such groups, the process alone."""
    if sys.platform == "win32":
        child.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _scratch_file() -> IO[bytes]:
    """A file for output: a pipe would be held open by whatever a killed program has started.
    In memory where the system can, because a disk may be full."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("output"), "w+b")
    return tempfile.TemporaryFile()


def _content(file: IO[bytes], limit: int) -> str:
    file.seek(0)
    return file.read(limit).decode(errors="replace")


# In the child.


def requests() -> Iterator[Any]:
    """The JSON of each line of stdin, until it ends. To be used on the main thread. The iterator
    raises ValueError for a line that is not JSON.

    This process will end without looking for garbage in all that it has: see `gc.freeze`."""
    atexit.register(gc.freeze)
    for line in sys.stdin.buffer:
        yield json.loads(line)


def answer_stream() -> IO[str]:
    """The stdout of this process, for answers only: from here on, what libraries print on stdout
    goes to stderr."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(answers, "w")


def write_answer(stream: IO[str], answer: object) -> None:
    """One line of JSON; what JSON does not know is written as its `str`."""
    stream.write(json.dumps(answer, default=str) + "\n")
    stream.flush()


def exit_status(work: Callable[[], object]) -> int:
    """Do the work of a child. Returns its exit status: 1 where it raises, with the reason as the
    last line on stderr."""
    try:
        work()
    except Exception as error:
        sys.stderr.write(f"{error}".strip().replace("\n", " ") + "\n")
        return 1
    return 0


def end_with_parent(act: Callable[[], object] = lambda: os._exit(1)) -> None:
    """Wait for the end of stdin on a thread, then call `act`: by default, end this process with
    status 1 wherever it is. What stdin still holds is dropped."""
    threading.Thread(target=_wait_for_parent, args=(act,), daemon=True).start()


def _wait_for_parent(act: Callable[[], object]) -> None:
    # Not sys.stdin: its buffer has a lock, and where a thread waits in it Python may abort at the
    # end of the process: "could not acquire lock for <_io.BufferedReader>".
    while os.read(STDIN, READ_SIZE):
        pass
    act()


def supervise(folder: str, command: Sequence[str]) -> int:
    """Run a command until it ends or stdin does. Returns its exit status.

    Where stdin ends first, the command is killed with every process it has started, and `folder`,
    the caller's scratch folder, is removed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C on a terminal ends the caller, not this
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    abandoned = threading.Event()

    def abandon() -> None:
        abandoned.set()
        kill_session(child)

    end_with_parent(abandon)
    status = child.wait()
    if abandoned.is_set():
        shutil.rmtree(folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(supervise(sys.argv[1], sys.argv[2:]))
