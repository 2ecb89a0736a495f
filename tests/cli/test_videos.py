"""`face-service frames`, `face-service detect` of a video, and FFmpeg's line in docs/video.md."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_service.cli.videos import as_milliseconds
from face_service.errors import FaceServiceError
from face_service.video.frames import frames
from face_service.vision.quantisation import luminance_step
from tests.cli.conftest import COMMAND
from tests.conftest import ROOT
from tests.samples import samples
from tests.video.clips import number_of, numbered, write


@pytest.fixture(scope="module")
def clip(four_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of a photo of four faces."""
    photo = cv2.imread(str(four_faces))
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write(path, 75, lambda n: np.roll(photo, n // 8, axis=1), g="25", sc_threshold="0")


def test_pictures_under_their_times(run: Callable, clip: Path, tmp_path: Path) -> None:
    result = run("frames", clip, "--every", "1s")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{clip}: 3 frames of 610x340, to frames/00002000.jpg\n"
    written = sorted((tmp_path / "frames").iterdir())
    assert [path.name for path in written] == ["00000000.jpg", "00001000.jpg", "00002000.jpg"]
    lossless = run("frames", clip, "--every", "1500ms", "--format", "png", "--out", "deep/png")
    assert lossless.returncode == 0
    for frame in frames(clip, 1500):
        png = cv2.imread(str(tmp_path / f"deep/png/{frame.ms:08}.png"))
        assert (png == frame.image).all()
    assert luminance_step(written[0].read_bytes()) < 2


def test_what_cannot_be_done_is_one_line(run: Callable, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("no video")
    for arguments, said in (
        (["notes.mp4"], "notes.mp4: No video that FFmpeg can read"),
        (["absent.mp4"], "absent.mp4: No such file or directory"),
        ([clip, "--every", "1x"], "--every 1x: not an interval"),
        ([clip, "--out", "notes.mp4"], "--out notes.mp4/00000000.jpg: "),
    ):
        result = run("frames", *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith(f"face-service: {said}"), result.stderr
        assert result.stderr.count("\n") == 1


def test_detect_takes_frames_of_a_video(run: Callable, clip: Path, tmp_path: Path) -> None:
    command = ("detect", clip, "--out", "out.jsonl", "--draw", "drawn", "--crops", "crops")
    result = run(*command)
    assert (result.returncode, result.stderr) == (0, "3 images, 12 faces\n")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(line["file"], line["frame_ms"]) for line in lines] == [
        (str(clip), ms) for ms in (0, 1000, 2000)
    ]
    for line in lines:
        assert (line["image_width"], line["image_height"], line["error"]) == (610, 340, None)
        assert {face["quality"]["compression"] for face in line["faces"]} == {None}
        assert len(line["faces"]) == 4
    for folder, name in (("drawn", "00001000.jpg"), ("crops", "00001000-4.jpg")):
        assert (tmp_path / folder / "clip.mp4" / name).is_file()

    kept = (tmp_path / "out.jsonl").read_text()
    (tmp_path / "out.jsonl").write_text("".join(kept.splitlines(True)[:1]) + '{"file":"cut')
    again = run(*command)
    assert again.stderr == "2 images, 8 faces\n"
    assert (tmp_path / "out.jsonl").read_text() == kept
    assert run(*command).stderr == "0 images, 0 faces\n"


@pytest.mark.usefixtures("small_networks")
def test_a_video_that_ends_early_costs_only_itself(
    run: Callable, clip: Path, four_faces: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.mp4").write_bytes(clip.read_bytes()[:2000])
    result = run("detect", "broken.mp4", clip, four_faces, "--every", "2s")
    assert result.returncode == 1
    assert result.stderr.startswith("broken.mp4: No video that FFmpeg can read")
    named = [line for line in result.stdout.splitlines() if not line.startswith("  ")]
    assert [name.partition(": ")[0] for name in named] == [
        f"{clip} at 0.000 s",
        f"{clip} at 2.000 s",
        str(four_faces),
    ]


@pytest.mark.usefixtures("small_networks")
def test_a_video_in_a_folder_is_named_and_passed_over(
    run: Callable, clip: Path, four_faces: Path, tmp_path: Path
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    for source, name in ((clip, "IMG_1.MOV"), (clip, "holiday"), (four_faces, "photo.jpg")):
        shutil.copy(source, album / name)
    (album / "notes.txt").write_text("no image")
    result = run("detect", "album", "--out", "out.jsonl")
    assert result.returncode == 0, "as with anything else in a folder that is no image"
    *named, last = result.stderr.splitlines()
    assert named == [
        f"album/{name}: a video, passed over: ask for it by its name"
        for name in ("IMG_1.MOV", "holiday")
    ]
    assert last == "1 image, 4 faces; 1 file no image; 2 videos passed over"
    asked = run("detect", "album", "album/IMG_1.MOV", "--every", "2s", "--out", "named.jsonl")
    assert asked.stderr.splitlines() == [
        "album/holiday: a video, passed over: ask for it by its name",
        "3 images, 12 faces; 1 file no image; 1 video passed over",
    ]


def test_without_pyav_a_video_is_an_error_that_says_how_to_get_it(
    environment: dict[str, str], clip: Path, tmp_path: Path
) -> None:
    program = COMMAND[-1].replace("from", "import sys; sys.modules['av'] = None; from", 1)
    done = subprocess.run(
        [*COMMAND[:-1], program, "frames", clip],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "pip install -r requirements-video.lock" in done.stderr
    assert (ROOT / "requirements-video.lock").is_file()


def test_intervals() -> None:
    written = {"1s": 1000, "500ms": 500, "2.5": 2500, "1min": 60_000, "0": 0, " 1 H ": 3_600_000}
    assert {text: as_milliseconds(text) for text in written} == written
    for wrong in ("", "s", "1 day", "-1s", "1e3", "0.1ms", "25h", "nan"):
        with pytest.raises(FaceServiceError, match="--every"):
            as_milliseconds(wrong)


@pytest.fixture(scope="module")
def ffmpeg() -> str:
    found = shutil.which("ffmpeg")
    if not found:
        pytest.skip("no FFmpeg on this machine")
    return found


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds of frames that say their number, noisy as a camera's are."""
    noise = np.random.default_rng(0).normal(0, 30, (4, 256, 384, 1))

    def picture(number: int) -> np.ndarray:
        large = numbered(number).repeat(2, axis=0).repeat(2, axis=1)
        return np.clip(large + noise[number % 4], 0, 255).astype(np.uint8)

    times = [n * 200 for n in range(100)]
    path = tmp_path_factory.mktemp("long") / "clip.mp4"
    return write(path, 100, picture, times=times, g="250", sc_threshold="0", bf="0", qp="20")


def test_the_line_of_the_page_gives_the_frames_of_the_command(
    ffmpeg: str, long_clip: Path, tmp_path: Path
) -> None:
    (sample,) = (
        one for one in samples("bash") if one.page == "docs/video.md" and "ffmpeg" in one.code
    )
    shutil.copy(long_clip, tmp_path / "clip.mp4")
    subprocess.run(["bash", "-ec", sample.code], cwd=tmp_path, check=True, timeout=60)
    written = {int(path.stem): path for path in (tmp_path / "frames").iterdir()}
    found = {frame.ms: frame.image for frame in frames(long_clip)}
    assert sorted(written) == sorted(found)
    assert len(found) == 20
    for ms, image in found.items():
        picture = cv2.imread(str(written[ms]))
        assert np.abs(picture.astype(int) - image).mean() < 8
        assert number_of(picture) * 200 == ms


def test_why_not_the_usual_line(ffmpeg: str, long_clip: Path, tmp_path: Path) -> None:
    """Its times are off by half a second, and its pictures get worse."""
    for name, options in (("usual", []), ("good", ["-q:v", "2"])):
        (tmp_path / name).mkdir()
        command = [ffmpeg, "-v", "error", "-i", long_clip, "-vf", "fps=1", *options]
        subprocess.run([*command, tmp_path / name / "%d.jpg"], check=True, timeout=60)
    for number in (1, 5, 15):
        shown = number_of(cv2.imread(str(tmp_path / f"good/{number}.jpg"))) * 200
        assert 400 <= shown - 1000 * (number - 1) <= 600
    steps = {
        name: [
            luminance_step((tmp_path / name / f"{number}.jpg").read_bytes()) for number in (1, 19)
        ]
        for name in ("usual", "good")
    }
    assert steps["good"][0] == steps["good"][1] < 8
    assert 1.5 * steps["usual"][0] < steps["usual"][1]
