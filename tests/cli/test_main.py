"""What holds for every command: errors, suggestions, help."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import MAIN

LEFT = """
import atexit, sys, threading
from face_service.serving.threads import WORKER
from face_service.cli import main

threading.Thread(target=threading.Event().wait, name={name}, daemon=True).start()
atexit.register(print, "finalised")
sys.argv = ["face-service", {command!r}]
main()
"""
COMMANDS = [
    [],
    ["serve"],
    ["detect"],
    ["compare"],
    ["evaluate"],
    ["bench"],
    ["key"],
    ["models"],
    ["models", "pull"],
    ["models", "quantize"],
]


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (["detect", "x.jpg"], {"DET_SIZE": "100"}, "DET_SIZE=100 is not allowed"),
        (["detect", "x.jpg", "--model", "starter"], {"DET_SIZE": "320"}, "takes 640x640 only"),
        (["detect", "x.jpg", "--model", "bufallo_l"], {}, "Did you mean 'buffalo_l'?"),
        (["compare", "x.jpg", "y.jpg", "--model", "Starter"], {}, "Did you mean 'starter'?"),
        (["compare", "x.jpg", "y.jpg", "--model", "other"], {}, "Known packs: buffalo_l, "),
        (["models", "pull", "antelope"], {}, "Did you mean 'antelopev2'?"),
        (["detct", "x.jpg"], {}, "Did you mean 'detect'?"),
        (["models", "pul"], {}, "Did you mean 'pull'?"),
        (["detect", "x.jpg", "--jsn"], {}, "--json"),
        (["detect", "x.jpg", "--min-score", "2"], {}, "--min-score"),
        (["detect"], {}, "PATH"),
        (["detect", "x.jpg"], {"ONNX_PROVIDERS": "CUDAExecutionProvider"}, "onnxruntime-gpu"),
        (["evaluate", "absent.csv"], {}, "absent.csv"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said_with_status_2(
    run, arguments: list[str], variables: dict[str, str], words: str
) -> None:
    result = run(*arguments, **variables)
    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("command", "status"), [("version", 0), ("detct", 2)])
def test_a_thread_that_still_computes_does_not_come_back_into_a_python_that_has_ended(
    command: str, status: int
) -> None:
    """ONNX Runtime would abort the process. Ctrl-C leaves such threads."""

    def end(name: str) -> tuple[int, bool]:
        program = LEFT.format(name=name, command=command)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert ("Did you mean 'detect'?" in done.stderr) == (command == "detct"), done.stderr
        return done.returncode, "finalised" in done.stdout

    assert end("WORKER") == (status, False)
    assert end("None") == (status, True)


def test_a_bad_setting_ends_the_server(run) -> None:
    result = run("serve", "--port", "70000")
    assert result.returncode == 1
    assert "PORT=70000 is not allowed" in result.stderr


def test_a_port_that_is_taken_ends_the_server(run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--host", "127.0.0.1", "--port", port)
    assert result.returncode == 1
    assert "address already in use" in result.stderr
    said = f"The service cannot start: port {port} of 127.0.0.1 cannot be had"
    # Models load meanwhile, on a thread that may still have a line to write.
    assert any(line.endswith(said) for line in result.stderr.splitlines()[-3:])


def test_a_failure_nobody_thought_of_is_no_answer(run) -> None:
    fault = "import face_service.cli.comparing as c; c.run = lambda *_: 1 / 0\n"
    result = run("compare", "a.jpg", "b.jpg", program=fault + MAIN)
    assert result.returncode == 2, "1 would say: different people"
    assert "ZeroDivisionError" in result.stderr


def test_a_pack_that_cannot_be_had_ends_the_server_with_the_ways_out(run, tmp_path: Path) -> None:
    result = run(
        "serve",
        "--port",
        "0",
        INSIGHTFACE_MODEL="buffalo_l",
        MODEL_CACHE_DIR=str(tmp_path / "cache"),
        MODEL_MIRROR="http://127.0.0.1:9/mirror",
        HOST="127.0.0.1",
    )
    assert result.returncode == 1
    assert "Failed to download model" in result.stderr
    assert "http://127.0.0.1:9/mirror/buffalo_l.zip" in result.stderr
    assert "INSIGHTFACE_MODEL=open" in result.stderr
    assert str(tmp_path / "cache" / "buffalo_l") in result.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_says_what_a_command_does(run, command: list[str]) -> None:
    result = run(*command, "-h")
    assert result.returncode == 0
    assert f"Usage: -c {' '.join([*command, ''])}" in result.stdout


@pytest.mark.parametrize("command", ["detect", "compare"])
def test_help_ends_with_examples_that_can_be_typed(run, command: str) -> None:
    shown = run(command, "--help", COLUMNS="80").stdout
    examples = re.findall(r"^ +face-service (.*?) *$", shown, re.MULTILINE)
    assert len(examples) >= 2
    known = set(re.findall(r"--[a-z-]+", shown.partition("Examples")[0]))
    for example in examples:
        assert example.startswith(f"{command} ")
        assert set(re.findall(r"--[a-z-]+", example)) <= known
    assert "Exit status: 0 " in shown


def test_help_shows_options_by_what_they_are_for(run) -> None:
    shown = run("detect", "--help").stdout
    output, filters = shown.index(" Output "), shown.index(" Filters ")
    assert output < shown.index("--out ") < filters < shown.index("--min-score ")
