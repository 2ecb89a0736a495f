"""Descriptor 2: nobody is held up who writes there, and every line of the log has one form."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from face_service.observability.stderr import MAX_LINE
from tests.images import encode
from tests.server import Server
from tests.wire import CONSOLE, entries

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="not captured on Windows")
PIPE_SIZE = 4096
WRITES = """
import logging, os, subprocess, sys
from face_service.observability.logs import configure_logging
from face_service.observability.stderr import captured_stderr

with captured_stderr() as stderr:
    configure_logging("INFO", "json", stderr)
    {}
logging.shutdown()
"""


def run(code: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", WRITES.format(code)],
        stderr=subprocess.PIPE,
        timeout=60,
        **options,
    )


def talkative_png() -> bytes:
    """A picture with a text chunk of a wrong checksum, of which libpng writes to stderr."""
    png = encode(np.full((40, 56, 3), 90, np.uint8), "PNG")
    text = b"tEXt" + b"Comment\x00hello"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text) ^ 1)
    return png[:33] + chunk + png[33:]


def post_talkative(server: Server) -> int:
    headers = {"Content-Type": "image/png"}
    return server.client.post("/detect", content=talkative_png(), headers=headers).status_code


def test_a_stderr_that_nobody_reads_stops_no_decoder(
    start_small_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, four_faces: Path
) -> None:
    reading, writing = os.pipe()
    assert fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_SIZE) == PIPE_SIZE
    popen = subprocess.Popen

    def to_pipe(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        return popen(*args, **{**options, "stderr": writing})

    monkeypatch.setattr(subprocess, "Popen", to_pipe)
    server = start_small_server(forked=False, REQUEST_TIMEOUT_S="20")
    monkeypatch.undo()
    server.wait_until_ready()
    assert {post_talkative(server) for _ in range(40)} == {200}
    waiting = struct.unpack("i", fcntl.ioctl(reading, termios.FIONREAD, bytes(4)))[0]
    assert waiting > PIPE_SIZE - 1000, "a line of the log has no room any more"
    file = {"file": four_faces.read_bytes()}
    assert len(server.client.post("/detect", files=file).json()["faces"]) == 4
    server.process.terminate()
    assert server.wait_until_ended() == 0
    os.close(reading)
    os.close(writing)


def test_no_decoder_writes_to_the_stderr_of_the_server(
    start_small_server: Callable[..., Server],
) -> None:
    server = start_small_server()
    server.wait_until_ready()
    assert post_talkative(server) == 200
    server.stop()
    lines = server.log().splitlines()
    (told,) = (line for line in lines if "libpng" in line)
    assert "face_service.observability.stderr - INFO - A library wrote to stderr text=" in told
    assert all(CONSOLE.fullmatch(line) for line in lines)


def test_lines_are_logged_as_they_come_and_to_the_last() -> None:
    done = run('os.write(2, b"one\\ntw"); os.write(2, b"o\\n\\n" + b"x" * 9000)')
    texts = [entry["text"] for entry in entries(done.stderr.decode())]
    assert texts == ["one", "two", "x" * MAX_LINE]


def test_the_same_without_end_is_counted() -> None:
    done = run('[os.write(2, b"libpng error: bad adaptive filter value\\n") for _ in range(500)]')
    assert len(done.stderr.splitlines()) < 50
    assert b" more: A library wrote to stderr" in done.stderr


def test_children_write_there_as_well() -> None:
    done = run('subprocess.run(["sh", "-c", "echo from a child >&2"])')
    assert entries(done.stderr.decode())[0]["text"] == "from a child"


def test_a_crash_is_still_seen() -> None:
    done = run("import faulthandler; faulthandler._sigsegv()")
    assert done.returncode < 0
    assert b"Fatal Python error: Segmentation fault" in done.stderr


def test_a_crash_ends_the_process_though_stderr_is_full() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    os.write(writing, b"x" * PIPE_SIZE)
    code = WRITES.format("import faulthandler; faulthandler._sigsegv()")
    child = subprocess.Popen([sys.executable, "-c", code], stderr=writing)
    assert child.wait(60) < 0
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
def test_a_closed_stderr_is_no_trouble(closed: str, tmp_path: Path) -> None:
    code = WRITES.format(
        'os.write(2, b"to nobody\\n"); logging.getLogger("x").warning("y"); '
        'open(sys.argv[1], "w").write("done")'
    )
    out = tmp_path / "out"
    command = f'"{sys.executable}" -c \'{code}\' "{out}" {closed}'.replace("'y'", '"y"')
    subprocess.run(["sh", "-c", command], timeout=60, check=True)
    assert out.read_text() == "done"
