"""What a process has when it is ready, or at its end, is frozen: no collection of garbage goes
through it any more."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import atexit, gc, sys
def frozen():
    print(gc.get_freeze_count() > 10_000, flush=True)
"""
"""More than Python itself begins with, less than what the service imports."""
SERVER = """
import face_service.server
face_service.server.serve = lambda *arguments: frozen() or 0
from face_service.main import main
main()
"""
COMMAND = """
atexit.register(frozen)
from face_service.cli import main
sys.argv = ["face-service", "version"]
main()
"""
CHILD = """
atexit.register(frozen)
import face_service.config
from face_service.runtime.child_process import requests
assert next(requests()) == "a request"
"""


@pytest.mark.parametrize("program", [SERVER, COMMAND, CHILD], ids=["server", "command", "child"])
def test_what_stays_is_frozen(program: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM + program],
        input='"a request"\n',
        env={**os.environ, "INSIGHTFACE_MODEL": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert ended.stdout.splitlines()[-1] == "True", ended.stdout + ended.stderr
