"""`face-service detect` with --draw and --crops: the pictures it writes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pybase64
import pytest

from tests.server import Server


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


def test_the_image_itself_is_not_drawn_upon(run, four_faces: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(four_faces.read_bytes())
    (tmp_path / "link.jpg").symlink_to(photo)
    for name in ("photo.jpg", "link.jpg"):
        result = run("detect", photo, "--draw", name)
        assert result.returncode == 2
        assert f"--draw: {name} is one of the images" in result.stderr
    assert photo.read_bytes() == four_faces.read_bytes()


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


def test_a_drawing_that_cannot_be_written_is_a_sentence(run, crops: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no folder")
    result = run("detect", crops / "row-0/1.jpg", "--draw", "taken/1.jpg")
    assert result.returncode == 2
    assert "face-service: --draw taken/1.jpg: " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("option", ["--draw", "--crops"])
def test_pictures_are_not_put_among_the_images(run, crops: Path, option: str) -> None:
    before = {path: path.read_bytes() for path in crops.rglob("*.jpg")}
    result = run("detect", crops, option, crops)
    assert result.returncode == 2
    assert f"{option}: {crops}/row-0/0.jpg is one of the images" in result.stderr
    assert {path: path.read_bytes() for path in crops.rglob("*.jpg")} == before
