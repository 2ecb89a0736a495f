"""`face-service detect` and its like, run as a person runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_service.packs.pack import Pack

SOLVAY_FACES = 29


@pytest.fixture
def run(starter: Pack, tmp_path: Path):
    """The command line in a folder of its own, on the starter pack."""

    def run_it(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "INSIGHTFACE_MODEL": "starter",
            "MODEL_CACHE_DIR": str(starter.directory.parent),
            **variables,
        }
        command = [sys.executable, "-c", "from face_service.cli import main; main()"]
        return subprocess.run(
            [*command, *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run_it


def test_detect_prints_a_line_for_each_face(run, solvay: Path) -> None:
    result = run("detect", solvay)
    assert result.returncode == 0, result.stderr
    first, *faces = result.stdout.splitlines()
    assert first == f"{solvay}: 29 faces in 3000x2171"
    assert len(faces) == SOLVAY_FACES
    assert all("about" in line for line in faces)


def test_detect_as_json_has_the_embeddings(run, solvay: Path) -> None:
    result = run("detect", solvay, "--json", "--min-score", "0.8")
    answer = json.loads(result.stdout)
    assert answer["file"] == str(solvay)
    assert 0 < len(answer["faces"]) < SOLVAY_FACES
    assert all(
        np.linalg.norm(f["embedding"]) == pytest.approx(1, abs=1e-5) for f in answer["faces"]
    )


def test_draw_writes_the_picture_with_boxes(run, solvay: Path, tmp_path: Path) -> None:
    result = run("detect", solvay, "--draw", "out.png")
    assert result.returncode == 0, result.stderr
    drawn, original = cv2.imread(str(tmp_path / "out.png")), cv2.imread(str(solvay))
    assert drawn.shape == original.shape
    changed = (drawn != original).any(axis=2)
    assert 0.001 < changed.mean() < 0.1


def test_draw_of_several_goes_into_a_folder(run, solvay: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.png"
    cv2.imwrite(str(small), cv2.imread(str(solvay))[900:1400, 1250:2050])
    assert run("detect", solvay, small, "--draw", "drawn").returncode == 0
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == {"solvay.jpg", "small.jpg"}


def test_a_bad_file_costs_only_itself(run, solvay: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    result = run("detect", "notes.txt", "absent.jpg", solvay)
    assert result.returncode == 1
    assert result.stdout.startswith(f"{solvay}: 29 faces")
    assert "notes.txt: Invalid image format" in result.stderr
    assert "absent.jpg: No such file or directory" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (["detect", "x.jpg"], {"DET_SIZE": "100"}, "DET_SIZE=100 is not allowed"),
        (["detect", "x.jpg"], {"DET_SIZE": "320"}, "takes 640x640 only"),
        (["detect", "x.jpg", "--model", "buffalo_xl"], {}, "buffalo_xl"),
        (["detect", "x.jpg"], {"ONNX_PROVIDERS": "CUDAExecutionProvider"}, "onnxruntime-gpu"),
        (["serve", "--port", "70000"], {}, "PORT=70000 is not allowed"),
        (["evaluate", "absent.csv"], {}, "absent.csv"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_one_line(
    run, arguments: list[str], variables: dict[str, str], words: str
) -> None:
    result = run(*arguments, **variables)
    assert result.returncode == 1
    assert words in result.stderr
    assert "Traceback" not in result.stderr


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
    assert "INSIGHTFACE_MODEL=starter" in result.stderr
    assert str(tmp_path / "cache" / "buffalo_l") in result.stderr


@pytest.mark.parametrize("command", [[], ["detect"], ["models"], ["evaluate"], ["serve"]])
def test_help_says_what_a_command_does(run, command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.returncode == 0
    assert "Usage: " in result.stdout
