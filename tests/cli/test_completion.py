"""Tab in bash, zsh and fish, as it is set up by --install-completion and pressed by a person."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installed import face_service
from tests.terminal import Terminal

INSTALLED = Path(sys.executable).parent
AT_THE_PROMPT = "\x1b[?2004h"
"""A shell is there for its keys: it asks the terminal to mark what is pasted."""


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed (Debian package {name})")
    return name


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    """Where `face-service` is: a fork, for every Tab calls it."""
    with tempfile.TemporaryDirectory(prefix="bin-") as name, face_service(Path(name)) as folder:
        yield folder


def test_what_tab_completes(shell: str, programs: Path, tmp_path: Path) -> None:
    environment = {"PATH": f"{INSTALLED}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    # The program asks which shell has called it; `true` keeps the shell there.
    subprocess.run(
        [shell, "-c", "face-service --install-completion; true"],
        env=environment,
        check=True,
        capture_output=True,
        timeout=60,
    )
    (tmp_path / "unusual name.jpg").touch()
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    terminal = Terminal([shell, "-i"], environment, tmp_path)
    try:
        for typed, shown in (
            # The first Tab of a session only makes zsh load what it completes with.
            ("face-service comp", "face-service comp"),
            ("face-service comp", "face-service compare"),
            ("face-service models verify ant", "face-service models verify antelopev2"),
            ("face-service detect --model sta", "face-service detect --model starter"),
            ("face-service detect --embeddings ba", "face-service detect --embeddings base64"),
            ("face-service detect unus", "face-service detect unusual name.jpg"),
        ):
            terminal.wait_for(AT_THE_PROMPT, shown_as_is=True)
            terminal.seen = b""
            # Ctrl-A: to the beginning, to have the line shown instead of run.
            terminal.type(f"{typed}\t\x01echo it says \n")
            terminal.wait_for(f"it says {shown}")
    finally:
        terminal.close()


def test_a_tab_loads_nothing_heavy() -> None:
    program = "import sys, face_service.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "typer" in loaded
    heavy = {"cv2", "fastapi", "numpy", "onnxruntime", "pydantic", "requests"}
    assert heavy & set(loaded) == set()
