"""Child processes: requests, answers, time limits, and that no process outlives its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from face_service.runtime import child_process
from face_service.runtime.child_process import Ended, python_module, run

REQUEST_TAKING = {
    "face_service.runtime.compiling": {},
    "face_service.tools.doctor.child": {"task": "graphics", "root": "/nowhere"},
    "face_service.tools.bench.load": {
        "plan": {"clients": 1, "requests": 0, "seconds": 1},
        "host": "127.0.0.1",
        "port": 1,
        "images": [],
    },
}
"""Modules that take a request, each with one that is answered at once."""

ENDS = """
import sys
from face_service.runtime.child_process import end_with_parent, requests
assert next(requests()) == "a request"
end_with_parent()
import time
time.sleep(0.3)  # the thread waits for the end of stdin by now
print("done")
"""


def python(program: str, seconds: float = 60, line: str = "") -> Ended:
    ended = run([sys.executable, "-c", program], seconds, line)
    assert ended is not None
    return ended


def ended(pid: int) -> bool:
    try:
        return "Z (zombie)" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def assert_ends(pid: int) -> None:
    for _ in range(600):
        if ended(pid):
            return
        time.sleep(0.1)
    pytest.fail(f"process {pid} is still there")


def test_a_child_that_is_done_ends_while_its_stdin_is_open() -> None:
    """Python aborts where a daemon thread waits in sys.stdin.buffer: "could not acquire lock"."""
    assert python(ENDS, line='"a request"') == Ended(0, "done\n", "")


@pytest.mark.parametrize("module", REQUEST_TAKING, ids=lambda name: name.rpartition(".")[2])
def test_modules_that_take_a_request_end_with_a_status(module: str) -> None:
    found = run(python_module(module), 60, json.dumps(REQUEST_TAKING[module]))
    assert found is not None
    assert found.status in (0, 1), found.err
    assert "could not acquire lock" not in found.err


def test_what_libraries_print_is_no_part_of_the_answer() -> None:
    program = (
        "import os\n"
        "from face_service.runtime.child_process import answer_stream, write_answer\n"
        "answers = answer_stream()\n"
        "print('from Python', flush=True)\n"
        "os.write(1, b'from C')\n"
        "write_answer(answers, {'faces': 6})\n"
    )
    assert python(program) == Ended(0, '{"faces": 6}\n', "from Python\nfrom C")


def test_every_line_is_a_request() -> None:
    program = "from face_service.runtime.child_process import requests\nprint(list(requests()))"
    found = subprocess.run(
        [sys.executable, "-c", program], input='{"a": 1}\n2.5\n', stdout=subprocess.PIPE, text=True
    )
    assert found.stdout == "[{'a': 1}, 2.5]\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups")
def test_what_a_killed_program_has_started_is_killed_too() -> None:
    program = (
        "import subprocess, time\n"
        "print(subprocess.Popen(['sleep', '600']).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    found = python(program, seconds=3)
    assert found.status is None
    assert_ends(int(found.out))


def test_output_is_read_up_to_a_limit() -> None:
    found = run([sys.executable, "-c", "print('x' * 1000)"], 60, limit=10)
    assert found == Ended(0, "x" * 10, "")


PARENT = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def child_of_a_killed_parent(*command: str) -> int:
    found = subprocess.run(
        [sys.executable, "-c", PARENT, *command], stdout=subprocess.PIPE, text=True, timeout=60
    )
    assert found.returncode == -signal.SIGKILL
    return int(found.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_a_child_ends_with_its_parent() -> None:
    program = (
        "import time\n"
        "from face_service.runtime.child_process import end_with_parent\n"
        "end_with_parent()\n"
        "time.sleep(600)\n"
    )
    assert_ends(child_of_a_killed_parent(sys.executable, "-c", program))


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_a_supervised_command_ends_with_the_caller(tmp_path: Path) -> None:
    """The command knows nothing of its caller; the folder is the caller's scratch."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    file = scratch / "pid"
    command = f"import os, pathlib, time; pathlib.Path({str(file)!r}).write_text(str(os.getpid()));"
    supervisor = subprocess.Popen(
        [sys.executable, "-P", child_process.__file__, str(scratch), sys.executable, "-c",
         command + "time.sleep(600)"],
        stdin=subprocess.PIPE,
    )  # fmt: skip
    for _ in range(600):
        if file.exists() and file.read_text():
            break
        time.sleep(0.1)
    pid = int(file.read_text())
    assert supervisor.poll() is None
    assert supervisor.stdin is not None
    supervisor.stdin.close()  # as the system does when the caller ends
    assert supervisor.wait(60) != 0
    assert ended(pid)
    assert not scratch.exists()


def test_a_supervised_command_has_the_status_it_ends_with(tmp_path: Path) -> None:
    theirs, ours = os.pipe()
    command = [sys.executable, "-P", child_process.__file__, str(tmp_path), "sh", "-c", "exit 7"]
    try:
        assert subprocess.run(command, stdin=theirs, timeout=60).returncode == 7
    finally:
        os.close(theirs)
        os.close(ours)
    assert tmp_path.exists()
