"""`face-service detect`, run as a person runs it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pybase64
import pytest

from face_service.schemas import DetectOptions
from tests.cli.conftest import AS_SERVED, COMMAND
from tests.server import Server
from tests.terminal import Terminal

SOLVAY_FACES = 29


def test_a_line_for_each_face(run, solvay: Path) -> None:
    result = run("detect", solvay)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    first, *faces = result.stdout.splitlines()
    assert first == f"{solvay}: 29 faces in 3000x2171"
    assert len(faces) == SOLVAY_FACES
    assert all("about" in line for line in faces)
    assert any("blurred" in line or "too small" in line for line in faces)


def test_json_is_what_the_server_says(run, server: Server, four_faces: Path) -> None:
    result = run("detect", four_faces, "--json", **AS_SERVED)
    answer = json.loads(result.stdout)
    served = server.client.post("/detect", files={"file": four_faces.read_bytes()}).json()
    for key in ("faces", "faces_omitted", "image_width", "image_height", "model"):
        assert answer[key] == served[key], key
    assert (answer["file"], answer["error"]) == (str(four_faces), None)
    assert answer["options"] == DetectOptions().model_dump()


def test_filters_and_forms(run, solvay: Path) -> None:
    options = ("--max-faces", 5, "--min-face-size", 70, "--no-attributes", "--min-score", 0.8)
    result = run("detect", solvay, "--json", *options)
    faces = json.loads(result.stdout)["faces"]
    assert len(faces) == 5
    for face in faces:
        x1, y1, x2, y2 = face["bbox"]
        assert min(x2 - x1, y2 - y1) >= 70
        assert face["det_score"] >= 0.8
        assert (face["age"], face["gender"]) == (None, None)
        assert np.linalg.norm(face["embedding"]) == pytest.approx(1, abs=1e-5)
    result = run("detect", solvay, "--json", *options, "--embeddings", "base64")
    for face, coded in zip(faces, json.loads(result.stdout)["faces"], strict=True):
        decoded = np.frombuffer(pybase64.b64decode(coded["embedding"]), "<f4")
        assert decoded == pytest.approx(np.array(face["embedding"], np.float32))


def test_a_bad_file_costs_only_itself(run, four_faces: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    result = run("detect", "notes.txt", "absent.jpg", four_faces)
    assert result.returncode == 1
    assert result.stdout.startswith(f"{four_faces}: 4 faces")
    assert "notes.txt: Invalid image format" in result.stderr
    assert "absent.jpg: No such file or directory" in result.stderr
    assert "Traceback" not in result.stderr


def test_errors_are_lines_of_json_too(run, crops: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff and no more")
    result = run("detect", "broken.jpg", crops / "row-0", "--json", "--embeddings", "none")
    assert result.returncode == 1
    first, *others = map(json.loads, result.stdout.splitlines())
    assert first["file"] == "broken.jpg"
    assert first["error"]["code"] == "invalid_image"
    assert (first["faces"], first["image_width"]) == ([], None)
    assert [line["error"] for line in others] == [None] * 4
    assert {face["embedding"] for line in others for face in line["faces"]} == {None}
    assert {frozenset(line) for line in others} == {frozenset(first)}
    assert result.stderr.splitlines()[-1].endswith("; 1 file with an error")


@pytest.mark.usefixtures("small_networks")
def test_a_reader_that_has_gone_is_no_crash(start, crops: Path) -> None:
    reader, writer = os.pipe()
    command = start("detect", crops, "--json", stdout=writer)
    os.close(writer)
    with os.fdopen(reader) as read:
        assert json.loads(read.readline())["file"] == f"{crops}/row-0/0.jpg"
    assert "Traceback" not in command.wait().stderr


@pytest.mark.usefixtures("small_networks")
def test_an_empty_folder_is_said(run, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    result = run("detect", "nothing")
    assert (result.returncode, result.stderr) == (0, "0 images, 0 faces\n")


@pytest.mark.usefixtures("small_networks")
def test_a_progress_bar_on_a_terminal(
    environment: dict[str, str], crops: Path, tmp_path: Path
) -> None:
    terminal = Terminal([*COMMAND, "detect", crops, "--out", "faces.jsonl"], environment, tmp_path)
    try:
        assert terminal.wait_until_ended() == 0
    finally:
        terminal.close()
    assert b"/12 [" in terminal.seen
    assert b"file/s" in terminal.seen


def test_defaults_are_those_of_the_wire() -> None:
    from typer.main import get_command

    from face_service.cli import app

    options = get_command(app).commands["detect"].params  # type: ignore[attr-defined]
    given = {option.name: option.default for option in options}
    wire = DetectOptions()
    assert given["min_score"] == wire.min_score
    assert given["max_faces"] == wire.max_faces
    assert given["min_face_size"] == wire.min_face_size
    assert given["embeddings"] == wire.embedding_format
    assert given["no_attributes"] is not wire.attributes
