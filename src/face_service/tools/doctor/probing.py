"""Probes that may fail, crash or hang: each costs a line of the report, never the report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, ParamSpec, TypeVar, cast

from face_service.errors import FaceServiceError

P = ParamSpec("P")
T = TypeVar("T")

MOST_OUTPUT = 8_000_000
"""Bytes of what a program says that are read."""
NO_ANSWER = "no answer within"
LAST_MOMENTS_S = 5.0
"""For a killed process to be gone. One that waits for a driver in the kernel may never be."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What could not be found out, and why. ours: it is a sentence of this service, which says
    what is to be done."""

    why: str
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has ended, or was killed after its time: then `status` is None."""

    status: int | None
    out: str
    err: str


def attempt(probe: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Failed:
    """What a probe finds, or why it finds nothing."""
    try:
        return probe(*args, **kwargs)
    except FaceServiceError as error:
        return Failed(in_one_line(str(error)), ours=True)
    except Exception as error:
        return Failed(in_one_line(f"{type(error).__name__}: {error}"))


def in_one_line(text: str) -> str:
    """The same words on a line."""
    return " ".join(text.split())


def run(command: Sequence[str], seconds: float, line: str = "") -> Ended | None:
    """Run a program for `seconds` at most, with `line` on its stdin, which stays open meanwhile.

    None where there is no such program, or it may not be run.
    """
    with _file() as out, _file() as err:
        try:
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=err)
        except OSError:
            return None
        stdin, status = cast(IO[bytes], child.stdin), None
        try:
            with suppress(BrokenPipeError):  # it has ended without reading
                stdin.write(line.encode() + b"\n")
                stdin.flush()
            with suppress(subprocess.TimeoutExpired):
                status = child.wait(seconds)
        finally:
            _end(child)
            with suppress(BrokenPipeError):
                stdin.close()
        return Ended(status, _content(out), _content(err))


def ask(order: Mapping[str, Any], seconds: float) -> dict[str, Any] | Failed:
    """Have `child.py` do something in a process of its own."""
    # -P: what lies in the working directory is none of our modules.
    command = [sys.executable, "-P", "-m", "face_service.tools.doctor.child"]
    ended = attempt(run, command, seconds, json.dumps(order))
    if isinstance(ended, Failed):
        return ended
    if ended is None:
        return Failed(f"{sys.executable} cannot be run")
    try:
        answer: dict[str, Any] = json.loads(ended.out)
    except ValueError:
        return Failed(how(ended, seconds))
    return Failed(**answer) if "why" in answer else answer


def how(ended: Ended, seconds: float) -> str:
    """How a program ended that was to give an answer and has not."""
    if ended.status is None:
        return f"{NO_ANSWER} {seconds:g} s"
    said = ended.err.strip().splitlines()
    last = f"; its last words: {said[-1].strip()}" if said else ""
    if ended.status == -signal.SIGKILL:
        return f"it was killed (SIGKILL), as happens where memory runs out{last}"
    if ended.status < 0:
        return f"it crashed ({signal.Signals(-ended.status).name}){last}"
    return f"it ended with status {ended.status}{last}"


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
        with suppress(subprocess.TimeoutExpired):
            child.wait(LAST_MOMENTS_S)


def _file() -> IO[bytes]:
    """A file for what is said: a pipe would be held open by whatever a killed program has started.
    In memory where that can be had, for a disk may be full."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("said"), "w+b")
    return tempfile.TemporaryFile()


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(MOST_OUTPUT).decode(errors="replace")
