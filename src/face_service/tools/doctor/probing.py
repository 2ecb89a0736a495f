"""Probes that may fail, crash or hang: each costs a line of the report, never the report."""

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
"""Bytes of what a program says that are read."""
NO_ANSWER = "no answer within"


@dataclass(frozen=True, slots=True)
class Failed:
    """What could not be found out, and why. ours: it is a sentence of this service, which says
    what is to be done."""

    why: str
    ours: bool = False


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
    """Run a program for `seconds` at most, with `line` on its stdin; see `child_process.run`.

    None where there is no such program, or it may not be run.
    """
    return child_process.run(command, seconds, line, MOST_OUTPUT)


def ask(order: Mapping[str, Any], seconds: float) -> dict[str, Any] | Failed:
    """Have `child.py` do something in a process of its own."""
    command = python_module("face_service.tools.doctor.child")
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
