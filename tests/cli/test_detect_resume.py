"""`face-service detect --out`: interrupted anywhere, it goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.commands import MAIN, Command

SLOW = """
import signal, time, onnxruntime
from face_service.cli import analysis, main
load, compute = analysis.load_engine, onnxruntime.InferenceSession.run
def slowly(*arguments):
    time.sleep(0.3)
    return compute(*arguments)
def load_engine(*arguments):
    engine = load(*arguments)
    onnxruntime.InferenceSession.run = slowly
    return engine
analysis.load_engine = load_engine
# A shell that starts the tests in the background has them ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
"""The command line on networks that take 0.3 s each, once they are loaded."""
LITTLE_ROOM = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
{MAIN}
"""
"""The command line where a file cannot have more than 20 kB."""


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_lines_without_crops_are_not_gone_on_with(run, crops: Path) -> None:
    """Else those that are there would have no crops."""
    command = ("detect", crops / "row-0", "--out", "faces.jsonl")
    assert run(*command).returncode == 0
    result = run(*command, "--crops", "cut")
    assert result.returncode == 2
    assert "crops False there, True here" in result.stderr


@pytest.mark.usefixtures("small_networks")
def test_a_folder_is_gone_on_with(run, crops: Path, tmp_path: Path) -> None:
    command = ("detect", crops, "--out", "faces.jsonl", "--embeddings", "none")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff and no more")
    out = tmp_path / "faces.jsonl"
    result = run("detect", crops / "row-1", *command[2:])
    assert result.returncode == 0
    assert re.fullmatch(r"4 images, \d+ faces?\n", result.stderr), "no progress bar in a pipe"
    assert len(lines(out)) == 4
    result = run(*command, "broken.jpg")
    assert result.returncode == 1
    assert "8 images" in result.stderr
    assert "4 files done before" in result.stderr
    names = [line["file"] for line in lines(out)]
    assert names[:4] == [f"{crops}/row-1/{index}.jpg" for index in range(4)]
    assert names[4:] == [
        *(f"{crops}/row-{row}/{index}.jpg" for row in (0, 2) for index in range(4)),
        "broken.jpg",
    ]
    before = out.read_bytes()
    result = run(*command, "broken.jpg")
    assert result.returncode == 1, "the error is still in the file"
    assert "13 files done before" in result.stderr
    assert out.read_bytes() == before
    result = run(*command, "--min-score", 0.9)
    assert result.returncode == 2
    assert "min_score None there, 0.9 here" in result.stderr
    assert out.read_bytes() == before


def wait_for_lines(out: Path, count: int, command: Command) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and command.process.poll() is None:
        if out.exists() and out.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.005)
    raise AssertionError(f"no {count} lines came of it: {command.wait(0)}")


@pytest.mark.usefixtures("small_networks")
def test_a_killed_run_loses_nothing_and_repeats_nothing(
    run, start, crops: Path, tmp_path: Path
) -> None:
    assert run("detect", crops, "--out", "whole.jsonl").returncode == 0
    out = tmp_path / "faces.jsonl"
    for kills in (2, 5, 9):
        command = start("detect", crops, "--out", out)
        wait_for_lines(out, kills, command)
        command.process.kill()
        command.wait()
        # What a kill in the middle of a write would leave, or a machine that lost its power.
        with out.open("ab") as file:
            file.write(b'{"file":"/half/a/li')
    assert run("detect", crops, "--out", out).returncode == 0
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.usefixtures("small_networks")
def test_ctrl_c_keeps_what_is_done(run, start, crops: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces.jsonl"
    arguments = ["detect", crops, "--out", out, "--embeddings", "none"]
    command = start(*arguments, program=SLOW)
    wait_for_lines(out, 2, command)
    command.process.send_signal(signal.SIGINT)
    result = command.wait(60)
    done = len(lines(out))
    assert result.returncode == 130, result.stderr
    assert 2 <= done < 12
    said = f"Interrupted after {done} images: {out} has them, the same command goes on"
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert run(*arguments).returncode == 0
    assert len({line["file"] for line in lines(out)}) == len(lines(out)) == 12


@pytest.mark.usefixtures("small_networks")
def test_a_full_disk_is_one_sentence_and_is_gone_on_from(run, crops: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces.jsonl"
    result = run("detect", crops, "--out", out, program=LITTLE_ROOM)
    assert result.returncode == 2
    assert f"--out {out}: File too large" in result.stderr
    assert "Traceback" not in result.stderr
    assert out.stat().st_size == 20_000
    assert run("detect", crops, "--out", out).returncode == 0
    assert len({line["file"] for line in lines(out)}) == len(lines(out)) == 12


@pytest.mark.usefixtures("small_networks")
def test_names_that_are_no_text_are_gone_on_with(run, crops: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    photo = (crops / "row-0/0.jpg").read_bytes()
    for name in (b"caf\xe9.jpg", "café\n.jpg".encode()):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(photo)
    for _ in range(2):
        assert run("detect", "odd", "--out", "faces.jsonl").returncode == 0
    names = [line["file"] for line in lines(tmp_path / "faces.jsonl")]
    assert sorted(names) == ["odd/caf\\xe9.jpg", "odd/café\n.jpg"]
