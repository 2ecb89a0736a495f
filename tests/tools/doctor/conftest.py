"""Machines that are not here, ONNX Runtimes that fail, and the command run for real."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from face_service.packs.pack import Pack
from tests import commands
from tests.commands import MAIN

PRETENDED = Path(__file__).parent / "pretended"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def home(starter: Pack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder of somebody who keeps the starter pack there."""
    folder = tmp_path_factory.mktemp("home") / "somebody"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "starter").symlink_to(starter.directory.resolve())
    return folder


@pytest.fixture(scope="session")
def doctor(home: Path) -> Run:
    """`face-service doctor`, as a person runs it who keeps the starter pack at home. A `python` or
    a PYTHONPATH is that of a Python started for it."""

    def run_it(
        *arguments: object, python: Path | str | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "INSIGHTFACE_MODEL": "starter",
            "MODEL_CACHE_DIR": str(home / "models"),
            **variables,
        }
        if python is None and "PYTHONPATH" not in variables:
            return commands.run(["doctor", *arguments], environment, home)
        return subprocess.run(
            [python or sys.executable, "-c", MAIN, "doctor", *map(str, arguments)],
            env=environment,
            cwd=home,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run_it


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a file of a machine that is not here; its root is tmp_path."""

    def write_it(path: str, text: str = "") -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write_it
