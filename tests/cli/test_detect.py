"""`face-service detect`, run as a person runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pybase64
import pytest

from face_service.schemas import DetectOptions
from tests.cli.conftest import AS_SERVED, COMMAND
from tests.commands import MAIN, Command
from tests.server import Server
from tests.terminal import Terminal

SOLVAY_FACES = 29
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


def test_draw_writes_the_picture_with_boxes(run, four_faces: Path, tmp_path: Path) -> None:
    result = run("detect", four_faces, "--draw", "out.png")
    assert result.returncode == 0, result.stderr
    drawn, original = cv2.imread(str(tmp_path / "out.png")), cv2.imread(str(four_faces))
    assert drawn.shape == original.shape
    changed = (drawn != original).any(axis=2)
    assert 0.001 < changed.mean() < 0.1


@pytest.mark.usefixtures("small_networks")
def test_draw_lays_a_folder_out_as_it_is(run, crops: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.png"
    cv2.imwrite(str(small), np.zeros((50, 50, 3), np.uint8))
    assert run("detect", crops, small, "--draw", "drawn").returncode == 0
    drawn = {str(path.relative_to(tmp_path / "drawn")) for path in tmp_path.rglob("drawn/**/*.jpg")}
    originals = {str(path.relative_to(crops)) for path in crops.rglob("*.jpg")}
    assert drawn == originals | {"small.png.jpg"}


def test_drawings_that_would_overwrite_each_other_are_refused(run, crops: Path) -> None:
    result = run("detect", crops / "row-0/1.jpg", crops / "row-1/1.jpg", "--draw", "drawn")
    assert result.returncode == 2
    assert f"{crops}/row-1/1.jpg and {crops}/row-0/1.jpg would both be drawn/1.jpg" in result.stderr


def test_crops_are_what_the_server_gives_and_embed_as_the_faces_do(
    run, server: Server, four_faces: Path, crops: Path, tmp_path: Path
) -> None:
    result = run("detect", four_faces, "--json", "--crops", "cut")
    faces = json.loads(result.stdout)["faces"]
    served = server.client.post(
        "/detect", params={"crops": True}, files={"file": four_faces.read_bytes()}
    ).json()["faces"]
    assert faces == served
    files = [tmp_path / "cut" / f"{four_faces.stem}-{n}.jpg" for n in (1, 2, 3, 4)]
    assert sorted((tmp_path / "cut").iterdir()) == files
    for face, file in zip(faces, files, strict=True):
        assert file.read_bytes() == pybase64.b64decode(face["crop"])
        assert cv2.imread(str(file)).shape == (112, 112, 3)
    body = {"crops_base64": [pybase64.b64encode_as_string(file.read_bytes()) for file in files]}
    embedded = server.client.post("/embed", json=body).json()["results"]
    for face, again in zip(faces, embedded, strict=True):
        assert np.dot(face["embedding"], again["embedding"]) > 0.99

    result = run("detect", crops, "--json", "--crops", "laid-out")
    expected = {
        path.with_name(f"{path.stem}-{number}.jpg")
        for line in map(json.loads, result.stdout.splitlines())
        for path in [Path(line["file"]).relative_to(crops)]
        for number in range(1, len(line["faces"]) + 1)
    }
    assert len(expected) > 5
    folder = tmp_path / "laid-out"
    assert {path.relative_to(folder) for path in folder.rglob("*.jpg")} == expected


def test_crops_that_would_overwrite_each_other_or_a_file_are_refused(
    run, crops: Path, tmp_path: Path
) -> None:
    result = run("detect", crops / "row-0/1.jpg", crops / "row-1/1.jpg", "--crops", "cut")
    assert result.returncode == 2
    assert f"--crops: {crops}/row-1/1.jpg and {crops}/row-0/1.jpg would both be" in result.stderr
    (tmp_path / "taken").write_text("no folder")
    result = run("detect", crops / "row-0/1.jpg", "--crops", "taken")
    assert result.returncode == 2
    assert "face-service: --crops taken/1-1.jpg: " in result.stderr
    assert "Traceback" not in result.stderr


def test_lines_without_crops_are_not_gone_on_with(run, crops: Path) -> None:
    """Else those that are there would have no crops."""
    command = ("detect", crops / "row-0", "--out", "faces.jsonl")
    assert run(*command).returncode == 0
    result = run(*command, "--crops", "cut")
    assert result.returncode == 2
    assert "crops False there, True here" in result.stderr


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
    assert "min_score 0.5 there, 0.9 here" in result.stderr
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
