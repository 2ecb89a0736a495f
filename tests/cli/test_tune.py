"""`face-service tune`: a real server is measured, and what is best is said and written."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path


def test_what_is_set_now_is_measured_first(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """And nothing else where there is no time for it: then it is best, and nothing is written."""
    arguments = ["--budget", 0, "--seconds", 0.1, "--accuracy", "same", "--write", ".env", "--json"]
    result = run("tune", *arguments)
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    (trial,) = said["trials"]
    (figures,) = trial["figures"]
    assert figures["throughput"] > 0
    assert figures["p50"] > 0
    assert figures["memory"] > 50
    assert said["best"] == {}
    assert not (tmp_path / ".env").exists()


def test_a_file_that_cannot_be_written_is_said_before_anything_is_measured(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    for name, why in (("no/.env", "No such file or directory"), (tmp_path, "Is a directory")):
        result = run("tune", "--budget", 0, "--seconds", 0.1, "--write", name)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr == f"face-service: {name}: {why}\n"


def test_bounds_that_nothing_keeps(
    run: Callable[..., subprocess.CompletedProcess[str]], four_faces: Path
) -> None:
    result = run("tune", four_faces, "--budget", 0, "--seconds", 0.1, "--memory", 1)
    assert result.returncode == 1
    assert result.stdout.strip().endswith("Nothing that was tried keeps the bounds.")
    assert "out of bounds" in result.stdout
