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

COMMAND = [sys.executable, "-c", "from face_service.cli import main; main()"]


@pytest.fixture
def environment(starter: Pack, tmp_path: Path) -> dict[str, str]:
    """Of a command line on the starter pack."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "INSIGHTFACE_MODEL": "starter",
        "MODEL_CACHE_DIR": str(starter.directory.parent),
    }


@pytest.fixture
def run(
    environment: dict[str, str], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line in a folder of its own, on the starter pack."""

    def run_it(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env=environment | variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )

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
