"""The command line, run as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from face_service.packs.pack import Pack
from tests import commands
from tests.commands import MAIN, Command
from tests.conftest import ORACLE, SHARED

AS_SERVED = {"WORKERS": "0", "INTRA_OP_THREADS": "0"}
"""Variables of a command that is to compute what a server does, to the bit."""
COMMAND = [sys.executable, "-c", MAIN]
"""The command line of a Python that has imported nothing."""


@pytest.fixture
def environment(open_pack: Pack, tmp_path: Path) -> dict[str, str]:
    """Of a command line on the pack `open`. Networks are loaded for one thread: for each worker
    and each number of threads would be twice the work."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "INSIGHTFACE_MODEL": "open",
        "MODEL_CACHE_DIR": str(open_pack.directory.parent),
        "WORKERS": "1",
        "INTRA_OP_THREADS": "1",
        "DET_GATE": "off",  # or a server would make one meanwhile: a minute of a processor
    }


@pytest.fixture
def small_networks(environment: dict[str, str], request: pytest.FixtureRequest) -> None:
    """For a test that is not about faces: networks smaller than those of that pack, where they
    are here."""
    if SHARED.is_dir() and (ORACLE / "packs" / "standin").is_dir():
        folder = request.getfixturevalue("with_edgeface")("det_500m")
        environment |= {"INSIGHTFACE_MODEL": str(folder), "DET_SIZE": "160"}


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Callable[..., Command]:
    """The command line in a folder of its own, on the pack `open`, as a process that runs."""

    def start_it(
        *arguments: object, program: str = MAIN, stdout: int | None = None, **variables: str
    ) -> Command:
        return commands.start(arguments, environment | variables, tmp_path, stdout, program)

    return start_it


@pytest.fixture
def run(start: Callable[..., Command]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same, waited for."""

    def run_it(*arguments: object, **options: str) -> subprocess.CompletedProcess[str]:
        return start(*arguments, **options).wait()

    return run_it


@pytest.fixture(scope="session")
def crops(solvay: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 small images cut from a photo, in three folders, with no face to a few each."""
    folder = tmp_path_factory.mktemp("crops")
    photo = cv2.imread(str(solvay))
    for index in range(12):
        path = folder / f"row-{index // 4}" / f"{index % 4}.jpg"
        path.parent.mkdir(exist_ok=True)
        top, left = 700 + 250 * (index // 4), 100 + 600 * (index % 4)
        cv2.imwrite(str(path), photo[top : top + 250, left : left + 250])
    return folder
