"""Probes: functions and programs that may fail, crash or hang without ending the report."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from face_service.errors import FaceServiceError
from face_service.runtime import child_process
from face_service.runtime.child_process import Ended, python_module

P = ParamSpec("P")
T = TypeVar("T")

MOST_OUTPUT = 8_000_000
"""Bytes of a program's stdout, and of its stderr, that are read."""
NO_ANSWER = "no answer within"
"""Begins the reason of a probe that was killed because its time was over."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A probe that has found nothing. why: the reason, on one line. ours: the reason is an error of
    this service, which says what is to be done."""

    why: str
    ours: bool = False


def attempt(probe: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Failed:
    """The result of a probe, or Failed where it raises."""
    try:
        return probe(*args, **kwargs)
    except FaceServiceError as error:
        return Failed(in_one_line(str(error)), ours=True)
    except Exception as error:
        return Failed(in_one_line(f"{type(error).__name__}: {error}"))


def in_one_line(text: str) -> str:
    """A text with every run of white space as one space."""
    return " ".join(text.split())


def run(command: Sequence[str], seconds: float, line: str = "") -> Ended | None:
    """Run a program for `seconds` at most, with `line` on its stdin; see `child_process.run`.

    None where there is no such program, or it may not be run.
    """
    return child_process.run(command, seconds, line, MOST_OUTPUT)


def ask(request: Mapping[str, Any], seconds: float) -> dict[str, Any] | Failed:
    """Send a request to `child.py`, in a process of its own, and return its answer.

    request: `task`, the name of one of the child's tasks, and what it needs, in types of JSON.
    seconds: after which the process is killed. Failed where it is, or crashes, or the probe fails.
    """
    command = python_module("face_service.tools.doctor.child")
    ended = attempt(run, command, seconds, json.dumps(request))
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
    """How a program ended that gave no answer, with the last line of its stderr.

    seconds: the time limit it had.
    """
    if ended.status is None:
        return f"{NO_ANSWER} {seconds:g} s"
    said = ended.err.strip().splitlines()
    last = f"; the last line of its stderr: {said[-1].strip()}" if said else ""
    if ended.status == -signal.SIGKILL:
        return f"it was killed (SIGKILL), as happens where memory runs out{last}"
    if ended.status < 0:
        return f"it crashed ({signal.Signals(-ended.status).name}){last}"
    return f"it ended with status {ended.status}{last}"
