"""Child processes that measure something whenever they are asked: a line of JSON each way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, cast

from face_service.errors import StartupError
from face_service.runtime.child_process import python_module
from face_service.tools.bench.server import environment, stop


class MeasuringProcess:
    """A process that answers requests (`child_process.requests`). pid: its id."""

    def __init__(self, process: subprocess.Popen[str], what: str) -> None:
        self._stdin, self._stdout = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
        self._what = what
        self.pid = process.pid

    def ask(self, request: object) -> dict[str, Any]:
        """The answer to a request in types of JSON; waits for it without a time limit. Raises
        StartupError where the process has ended; the reason is on stderr, which it shares with this
        one."""
        try:
            print(json.dumps(request), file=self._stdin, flush=True)
            line = self._stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise StartupError(f"{self._what} cannot be measured, its process has ended")
        return dict(json.loads(line))


@contextmanager
def measuring_process(
    module: str,
    what: str,
    variables: Mapping[str, str | None] | None = None,
    python: str = sys.executable,
) -> Iterator[MeasuringProcess]:
    """A process that runs a module of this package; stopped at the end of the block.

    what: is measured, in words, for the error. variables: changes of this process's environment
    (see `bench.server.environment`). python: the interpreter.
    """
    process = subprocess.Popen(
        python_module(module, python),
        env=environment(variables or {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield MeasuringProcess(process, what)
    finally:
        stop(process)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
