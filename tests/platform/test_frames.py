"""What the face service gets to see of a video: when, which way up, in which colours."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from .clips import (
    BT709,
    HDR,
    HEIGHT,
    INTERLACED,
    PLAIN,
    UNMARKED,
    UNMARKED_BOTTOM,
    WIDTH,
    Encoding,
    Scene,
    needs_x265,
    rotated,
    write_clip,
)

SCRIPT = Path(__file__).with_name("frames.ts")


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Something of many colours, soft enough for every encoder."""
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    across, down = np.meshgrid(np.linspace(30, 225, 250), np.linspace(30, 225, 250))
    picture = np.dstack([across, down, 255 - across]).astype(np.uint8)
    picture[60:120, 60:120] = (40, 40, 200)  # red, on which a wrong matrix shows most
    picture[140:200, 140:200] = (50, 180, 50)
    cv2.imwrite(str(path), picture)
    return path


def taken(
    bun: Path, clip: Path, folder: Path, interval: int = 1000, first: int = 0
) -> dict[int, NDArray[np.uint8]]:
    """The frames of a clip by their milliseconds."""
    folder.mkdir()
    command = [bun, SCRIPT, clip, folder, str(interval), str(first)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = {int(path.stem): cv2.imread(str(path)) for path in folder.glob("*.jpg")}
    return {ms: np.asarray(found[ms], np.uint8) for ms in sorted(found)}


def source(photo: Path) -> NDArray[np.uint8]:
    """The first frame of a scene of one photo, as it was before it was encoded."""
    frame = np.full((HEIGHT, WIDTH, 3), 96, np.uint8)
    frame[60:310, 20:270] = cv2.imread(str(photo))
    return frame


def error(frame: NDArray[np.uint8], photo: Path) -> float:
    """Mean difference of the frame's photo from the photo, of 255."""
    return float(np.abs(frame.astype(int) - source(photo))[70:300, 30:260].mean())


@pytest.mark.parametrize("encoding", [PLAIN, BT709, INTERLACED], ids=lambda each: each.name)
def test_colours_are_those_of_the_picture(
    bun: Path, ffmpeg: str, photo: Path, tmp_path: Path, encoding: Encoding
) -> None:
    clip = write_clip(tmp_path, [Scene(1, (photo,))], encoding)
    frames = taken(bun, clip, tmp_path / "frames")
    assert list(frames) == [0]
    assert frames[0].shape == (HEIGHT, WIDTH, 3)
    assert error(frames[0], photo) < 4


def test_hdr_is_brought_to_the_range_of_a_screen(
    bun: Path, ffmpeg: str, photo: Path, tmp_path: Path
) -> None:
    needs_x265(ffmpeg)
    clip = write_clip(tmp_path, [Scene(1, (photo,))], HDR)
    frames = taken(bun, clip, tmp_path / "frames")
    assert error(frames[0], photo) < 6


def test_a_phone_held_upright_gives_upright_frames(
    bun: Path, ffmpeg: str, photo: Path, tmp_path: Path
) -> None:
    clip = rotated(write_clip(tmp_path, [Scene(1, (photo,))]))
    frames = taken(bun, clip, tmp_path / "frames")
    assert frames[0].shape == (HEIGHT, WIDTH, 3)
    assert error(frames[0], photo) < 4


@pytest.mark.parametrize(
    "encoding", [INTERLACED, UNMARKED, UNMARKED_BOTTOM], ids=lambda each: each.name
)
def test_fields_are_not_woven_together(
    bun: Path, ffmpeg: str, photo: Path, tmp_path: Path, encoding: Encoding
) -> None:
    """The camera moves 8 pixels from field to field: woven, every other row is beside the next."""
    clip = write_clip(tmp_path, [Scene(2, (photo,), travel=320)], encoding)
    frame = taken(bun, clip, tmp_path / "frames", 100)[500].astype(int)
    within = np.abs(frame[70:300:2] - frame[72:302:2]).mean()
    between = np.abs(frame[70:300:2] - frame[71:301:2]).mean()
    assert between < within * 1.1


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        (PLAIN, "null"),
        (BT709, "null"),
        (INTERLACED, "marked"),
        (UNMARKED, "tff"),
        (UNMARKED_BOTTOM, "bff"),
    ],
    ids=lambda each: getattr(each, "name", each),
)
def test_fields_are_found_where_the_file_does_not_mark_them(
    bun: Path, ffmpeg: str, photo: Path, tmp_path: Path, encoding: Encoding, found: str
) -> None:
    """In a short clip, and in one of which frames of three places are looked at, after a part that
    stands still."""
    for name, scenes in (
        ("short", [Scene(2, (photo,), travel=320)]),
        ("long", [Scene(8, (photo,)), *[Scene(2, (photo,), travel=320)] * 5]),
    ):
        (tmp_path / name).mkdir()
        clip = write_clip(tmp_path / name, scenes, encoding)
        command = [bun, SCRIPT, clip, tmp_path / name, "1000", "0"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.stdout.split() == [found], done.stderr


def test_a_frame_an_interval_with_its_true_time(
    bun: Path, ffmpeg: str, photo: Path, tmp_path: Path
) -> None:
    """Ten frames a second: those at 0, 0.3, 0.5, 0.8 s are the first of each quarter."""
    clip = write_clip(tmp_path, [Scene(1, (photo,)), Scene(1)])
    whole = taken(bun, clip, tmp_path / "whole", 250)
    exact = [0, 300, 500, 800, 1000, 1300, 1500, 1800]
    # A frame that no other frame needs is not decoded: then the next is the first.
    assert len(whole) == len(exact)
    for ms, least in zip(whole, exact, strict=True):
        assert least <= ms < least + 250 and ms % 100 == 0
    wall = {ms: bool(np.ptp(frame[80:290, 40:250]) < 12) for ms, frame in whole.items()}
    assert all(wall[ms] == (ms >= 1000) for ms in wall), "times and frames do not belong together"

    # An analysis that goes on at the fifth interval sees what it would have seen.
    rest = taken(bun, clip, tmp_path / "rest", 250, 5)
    assert list(rest) == [ms for ms in whole if ms >= 1250]
    assert all((rest[ms] == whole[ms]).all() for ms in rest)


def test_a_playlist_opens_no_other_file(
    bun: Path, ffmpeg: str, photo: Path, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path, [Scene(1, (photo,))])
    for name, text in (
        ("playlist", f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n"),
        ("concat", f"ffconcat version 1.0\nfile '{clip}'\n"),
    ):
        (tmp_path / name).write_text(text)
        command = [bun, SCRIPT, tmp_path / name, tmp_path, "1000", "0"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode and "no video or picture" in done.stderr, name
