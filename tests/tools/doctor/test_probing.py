"""Probes that fail, crash and hang: a line for each, and the report goes on."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from face_service.errors import PackError
from face_service.runtime.child_process import Ended
from face_service.tools.doctor.probing import Failed, ask, attempt, how, run


def python(program: str, seconds: float = 60, line: str = "") -> Ended:
    ended = run([sys.executable, "-c", program], seconds, line)
    assert ended is not None
    return ended


def test_what_a_program_says() -> None:
    ended = python("import sys; print(input()); sys.stderr.write('and this')", line="hello")
    assert ended == Ended(0, "hello\n", "and this")


def test_a_program_that_is_not_there() -> None:
    assert run(["/nowhere/nvidia-smi"], 1) is None


def test_a_program_that_ends_without_reading_its_order() -> None:
    assert python("pass", line="x" * 1_000_000).status == 0


def test_a_program_that_hangs_is_killed_after_its_time() -> None:
    ended = python("import time; print('began', flush=True); time.sleep(600)", seconds=1.5)
    assert ended == Ended(None, "began\n", "")
    assert how(ended, 1.5) == "no answer within 1.5 s"


def test_what_a_killed_program_has_started_is_not_waited_for() -> None:
    """It may hang as well, and holds what its parent wrote to."""
    program = (
        "import subprocess, time\n"
        "own = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "print(own.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    ended = python(program, seconds=5)
    assert ended.status is None
    os.kill(int(ended.out), signal.SIGKILL)  # raises if it is not there any more


def test_a_full_disk_is_not_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", None)
    assert python("print('said')").out == "said\n"


def test_a_program_that_ignores_signals_is_killed_all_the_same() -> None:
    ignore = "import signal, time; signal.signal(15, 1); signal.signal(2, 1); time.sleep(600)"
    assert python(ignore, seconds=1).status is None


def test_stdin_stays_open_until_the_end() -> None:
    waiting = "import sys; sys.stdin.readline(); sys.stdin.read(); print('ended')"
    assert python(waiting, seconds=1) == Ended(None, "", ""), "it would see its parent's end"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import os; os.abort()", "it crashed (SIGABRT)"),
        ("import os; os.kill(os.getpid(), 9)", "killed (SIGKILL), as happens where memory runs"),
        (
            "raise SystemExit('no card')",
            "with status 1; the last line of its stderr: no card",
        ),
    ],
)
def test_how_a_program_ended(program: str, words: str) -> None:
    assert words in how(python(program), 1)


def test_a_probe_that_raises_is_a_line() -> None:
    def probe(why: str) -> int:
        raise ValueError(f"one\n  two {why}")

    assert attempt(probe, "three") == Failed("ValueError: one two three")
    assert attempt(int, "7") == 7


def test_an_error_of_ours_is_a_sentence() -> None:
    def probe() -> None:
        raise PackError("The pack is not whole:\n  x is missing")

    assert attempt(probe) == Failed("The pack is not whole: x is missing", ours=True)


def test_a_child_that_is_asked_for_nonsense_says_so() -> None:
    answer = ask({"task": "trial", "providers": []}, 60)
    assert isinstance(answer, Failed)
    assert answer.why.startswith(("KeyError", "IndexError"))


def test_what_lies_in_the_working_directory_is_none_of_our_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('who are you?')")
    monkeypatch.chdir(tmp_path)
    answer = ask({"task": "offers", "asked": ["auto"], "precision": "fp32"}, 60)
    assert isinstance(answer, dict), answer
    assert "CPUExecutionProvider" in answer["offered"]
