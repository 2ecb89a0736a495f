"""What is a line of the log, in its two formats; nothing can forge one."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.contextvars import bound_contextvars

from face_service.observability.logs import INDENT, formatter
from tests.wire import CONSOLE, entries


def record(words: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("face_service.test", logging.INFO, "", 0, words, arguments, None)
    vars(made).update(extra)
    return made


def test_a_console_line_is_that_of_the_specification() -> None:
    made = record("Detected %d faces in %.2fms", 2, 45.234, fields={"status": 200})
    made.created = 1705314662.0
    with bound_contextvars(request_id="frame-17"):
        line = formatter("console").format(made)
    when = logging.Formatter(datefmt="%Y-%m-%d %H:%M:%S").formatTime(made, "%Y-%m-%d %H:%M:%S")
    assert line == (
        f"{when} - face_service.test - INFO - Detected 2 faces in 45.23ms "
        "status=200 request_id=frame-17"
    )


def test_a_json_line_has_the_same_in_fields() -> None:
    made = record("Detected %d faces in %.2fms", 2, 45.234, fields={"status": 200})
    with bound_contextvars(request_id="frame-17"):
        entry = json.loads(formatter("json").format(made))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", entry.pop("timestamp"))
    assert entry == {
        "level": "info",
        "logger": "face_service.test",
        "message": "Detected 2 faces in 45.23ms",
        "status": 200,
        "request_id": "frame-17",
    }


FORGERIES = [
    "two\nlines",
    "2024-01-15 10:30:45 - face_service.main - INFO - a\n2024-01-15 10:30:45 - x - ERROR - b",
    'quote " and = and {"brace": 1}',
    "\r\x1b[2Jcleared",
    "\u2028separator\u0085next\x0bline",
    "\u202eright to left",
    "\ud800 half a pair",
    "\x00",
]


@pytest.mark.parametrize("text", FORGERIES)
def test_nothing_that_was_sent_can_look_like_a_line_of_its_own(text: str) -> None:
    made = record("Odd: %s", text, fields={"name": text, "number": float("nan")})
    line = formatter("console").format(made)
    first, *others = line.split("\n")
    assert CONSOLE.fullmatch(first)
    assert all(other.startswith(INDENT.strip("\n")) for other in others)
    assert all(c.isprintable() or c == "\n" for c in line)
    line = formatter("json").format(record("Odd: %s", text, fields={"name": text}))
    assert "\n" not in line
    line.encode()
    entry = json.loads(line)
    shown = text.encode(errors="backslashreplace").decode()
    assert (entry["message"], entry["name"]) == (f"Odd: {shown}", shown)


@pytest.mark.parametrize("value", [float("nan"), b"bytes", Path("x"), {"a": {1, 2}}, "\udfff"])
def test_every_json_line_is_json_whatever_it_holds(value: object) -> None:
    entry = json.loads(
        formatter("json").format(record("Odd", fields={"value": value})),
        parse_constant=lambda name: pytest.fail(f"{name} is no JSON"),
    )
    assert "value" in entry


def test_a_traceback_belongs_to_its_line() -> None:
    try:
        raise ValueError("first line\n2024-01-15 10:30:45 - x - ERROR - forged")
    except ValueError:
        made = record("It failed")
        made.exc_info = sys.exc_info()
    first, *others = formatter("console").format(made).split("\n")
    assert first.endswith(" - It failed")
    assert "ValueError" in others[-2]
    assert all(other.startswith("    ") for other in others)
    entry = json.loads(formatter("json").format(made))
    assert entry["exception"].startswith("Traceback (most recent call last)")
    assert "forged" in entry["exception"]


def test_warnings_and_what_ends_a_thread_are_lines_too() -> None:
    script = """
import threading, warnings
from face_service.observability.logs import configure_logging
configure_logging("INFO", "json")
warnings.warn("this will be removed")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start(); thread.join()
raise RuntimeError("the end")
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0"},
    )
    assert (run.returncode, run.stdout) == (1, "")
    warning, thread, end = entries(run.stderr)
    assert (warning["logger"], warning["level"]) == ("py.warnings", "warning")
    assert "this will be removed" in warning["message"]
    assert "ZeroDivisionError" in thread["exception"]
    assert "RuntimeError: the end" in end["exception"]
