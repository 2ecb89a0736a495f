"""The commands of the specification, run as they are written there, against port 8100."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server import Server

HEALTH = "curl http://localhost:8100/health"
CONTAINER_HEALTH = "curl -f http://localhost:8100/health"
DETECT = """curl -X POST http://localhost:8100/detect \\
  -F "file=@image.jpg"
"""
DETECT_JQ = """curl -X POST http://localhost:8100/detect \\
  -F "file=@test.jpg" \\
  | jq
"""
COUNT_JQ = """curl -X POST http://localhost:8100/detect \\
  -F "file=@test_image.jpg" \\
  | jq '.faces | length'
"""
PROVIDERS = 'python -c "import onnxruntime; print(onnxruntime.get_available_providers())"'


@pytest.fixture(scope="module")
def folder(
    start_server: Callable[..., Server], solvay: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with the photos the commands name; a server listens on port 8100."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8100)) == 0:
            pytest.skip("port 8100 is taken, and these commands name it")
    path = tmp_path_factory.mktemp("photos")
    for name in ("image.jpg", "test.jpg", "test_image.jpg"):
        shutil.copy(solvay, path / name)
    start_server(forked=False, PORT="8100").wait_until_ready()
    return path


def shell(command: str, folder: Path) -> str:
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture
def jq() -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")


@pytest.mark.parametrize("command", [HEALTH, CONTAINER_HEALTH])
def test_health(command: str, folder: Path) -> None:
    answer = json.loads(shell(command, folder))
    assert answer["status"] == "healthy"
    assert answer["embedding_dimension"] == 512


def test_detect(folder: Path) -> None:
    answer = json.loads(shell(DETECT, folder))
    assert len(answer["faces"]) == 29
    assert (answer["image_width"], answer["image_height"]) == (3000, 2171)


@pytest.mark.usefixtures("jq")
def test_detect_through_jq(folder: Path) -> None:
    assert len(json.loads(shell(DETECT_JQ, folder))["faces"]) == 29
    assert shell(COUNT_JQ, folder) == "29\n"


def test_the_providers_can_be_printed(folder: Path) -> None:
    assert "CPUExecutionProvider" in shell(PROVIDERS, folder)
