"""`face-service compare`, run as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.cli.conftest import AS_SERVED, COMMAND
from tests.server import Server


@pytest.fixture
def photos(shared: Path) -> Path:
    return shared / "faces" / "lfw"


@pytest.fixture
def same(photos: Path) -> tuple[Path, Path]:
    folder = photos / "Alexander_Downer"
    return folder / "Alexander_Downer_0001.jpg", folder / "Alexander_Downer_0002.jpg"


@pytest.fixture
def different(photos: Path, same: tuple[Path, Path]) -> tuple[Path, Path]:
    other = next(folder for folder in sorted(photos.iterdir()) if folder != same[0].parent)
    return same[0], sorted(other.iterdir())[0]


def test_the_same_person_is_status_0(run, same: tuple[Path, Path]) -> None:
    result = run("compare", *same)
    assert result.returncode == 0, result.stderr
    sentence, a, b = result.stdout.splitlines()
    assert sentence.endswith("reaches 0.275: the same person")
    assert a == f"  {same[0]}: face 1 of 1, 90x119 at (73, 72)"
    assert b.startswith(f"  {same[1]}: face 1 of 1, ")


def test_different_people_are_status_1(run, different: tuple[Path, Path]) -> None:
    result = run("compare", *different)
    assert result.returncode == 1, result.stderr
    assert result.stdout.splitlines()[0].endswith("is below 0.275: different people")


def test_json_is_what_the_server_says(
    run, server: Server, four_faces: Path, same: tuple[Path, Path]
) -> None:
    result = run("compare", same[0], four_faces, "--json", **AS_SERVED)
    answer = json.loads(result.stdout)
    files = {"file_a": same[0].read_bytes(), "file_b": four_faces.read_bytes()}
    served = server.client.post("/compare", files=files).json()
    names = f"{same[0]}", f"{four_faces}"
    assert (answer.pop("file_a"), answer.pop("file_b")) == names
    assert answer == {key: served[key] for key in answer}
    assert set(served) - set(answer) == {"processing_time_ms", "request_id"}
    assert len(answer["pairs"]) == 4
    assert (result.returncode == 0) == (answer["verdict"] == "same_person")


def test_a_photo_upside_down_is_compared_as_it_is_asked_for(
    run, same: tuple[Path, Path], tmp_path: Path
) -> None:
    lying = np.ascontiguousarray(np.rot90(cv2.imread(str(same[1])), 2))
    cv2.imwrite(str(tmp_path / "lying.png"), lying)
    assert run("compare", same[0], "lying.png").returncode != 0
    result = run("compare", same[0], "lying.png", "--rotations", "auto", "--detail", "2", "--json")
    assert result.returncode == 0, result.stdout
    looked = json.loads(result.stdout)["b"]["detection"]
    assert (looked["detail"], looked["rotations"]) == ("2", "auto")


def test_the_faces_shown_are_those_the_sentence_is_about(
    run, same: tuple[Path, Path], tmp_path: Path
) -> None:
    """A copy of the first photo that is too dark is more similar to it than the second is."""
    first, second = (cv2.imread(str(path)) for path in same)
    cv2.imwrite(str(tmp_path / "both.png"), np.hstack([first // 2, second]))
    bright = {"QUALITY_MIN_BRIGHTNESS": "0.5"}
    result = run("compare", same[0], "both.png", "--json", **bright)
    answer = json.loads(result.stdout)
    assert not answer["best"]["reliable"], "the dark copy should be the most similar"
    decisive = next(pair for pair in answer["pairs"] if pair["reliable"])
    shown = run("compare", same[0], "both.png", **bright).stdout.splitlines()
    assert shown[2].startswith(f"  both.png: face {decisive['b'] + 1} of 2, ")
    assert f"{decisive['similarity']:.3f}" in shown[0]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.jpg", "face-service: absent.jpg: No such file or directory"),
        ("notes.txt", "face-service: notes.txt: Invalid image format"),
        ("black.png", "There is no face to compare in black.png"),
    ],
)
def test_what_cannot_be_compared_is_status_2(
    run, four_faces: Path, tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((64, 64, 3), np.uint8))
    result = run("compare", four_faces, name)
    assert result.returncode == 2
    assert words in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_a_face_too_poor_to_compare_decides_nothing(
    run, same: tuple[Path, Path], tmp_path: Path
) -> None:
    dark = cv2.imread(str(same[0])) // 12
    cv2.imwrite(str(tmp_path / "dark.png"), dark)
    result = run("compare", same[0], "dark.png")
    assert result.returncode == 2
    assert "not reliable: the face in dark.png is " in result.stdout
    assert "too dark" in result.stdout


def test_what_nobody_could_read_is_no_verdict(start, same: tuple[Path, Path]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = start("compare", *same, stdout=writer).wait()
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, ""), "1 would say: different people"
    with Path("/dev/full").open("wb") as full:
        result = start("compare", *same, stdout=full.fileno()).wait()
    said = "face-service: stdout: No space left on device\n"
    assert (result.returncode, result.stderr) == (2, said)


@pytest.mark.parametrize(
    ("to", "status", "said"),
    [
        ("| true", 141, ""),
        (">/dev/full", 2, "face-service: writing failed: No space left on device\n"),
    ],
)
def test_what_nobody_could_read_is_no_verdict_without_a_buffer_either(
    environment: dict[str, str], same: tuple[Path, Path], to: str, status: int, said: str
) -> None:
    command = " ".join(f"'{word}'" for word in [*COMMAND, "compare", *map(str, same)])
    result = subprocess.run(
        ["bash", "-c", f"{command} {to}; exit ${{PIPESTATUS[0]}}"],
        env=environment | {"PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (status, said)
