"""Frames of real videos: their times, what is decoded, and how they look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from face_service.errors import ImageTooLarge, InvalidImage
from face_service.video import frames as module
from face_service.video.frames import Source, frames

from .clips import HEIGHT, RATE, WIDTH, number_of, write

STEP = 1000 // RATE
B_FRAMES = 4 * STEP
"""A frame that others need comes within so many milliseconds: veryfast has three B-frames."""


def decoded_of(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The frames that are decoded from now on."""
    seen: list[Any] = []
    original = Source._decoded

    def counting(self: Source) -> Any:
        for frame in original(self):
            seen.append(frame.pts)
            yield frame

    monkeypatch.setattr(Source, "_decoded", counting)
    return seen


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("gop", [10, 25, 250])
def test_a_frame_of_each_interval_under_its_own_time(
    tmp_path: Path, container: str, gop: int
) -> None:
    path = write(tmp_path / f"clip.{container}", g=str(gop), sc_threshold="0")
    found = list(frames(path, 1000))
    assert [frame.ms // 1000 for frame in found] == [0, 1, 2]
    assert [number_of(frame.image) * STEP for frame in found] == [frame.ms for frame in found]
    assert all(frame.ms % 1000 <= max(B_FRAMES, 250) for frame in found)


def test_frames_are_the_same_on_few_processors_and_on_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Side by side where there are many: what is decoded, and its pixels, must not depend on it."""
    types: list[str] = []
    original = Source._decoded

    def noting(self: Source) -> Any:
        yield from original(self)
        types.append(self._stream.codec_context.thread_type.name)

    monkeypatch.setattr(Source, "_decoded", noting)
    path = write(tmp_path / "clip.mp4", g="30", sc_threshold="0")
    found = []
    for cpus in (module.FEW_CPUS, module.FEW_CPUS + 1):
        monkeypatch.setattr(module, "available_cpus", lambda cpus=cpus: cpus)
        found.append(list(frames(path, 500)))
    assert types == ["SLICE", "AUTO"]
    few, many = found
    assert [frame.ms for frame in few] == [frame.ms for frame in many]
    assert all((a.image == b.image).all() for a, b in zip(few, many, strict=True))


def test_times_are_those_of_the_file_where_frames_come_unevenly(tmp_path: Path) -> None:
    times = [*range(0, 900, 33), 1477, 1500, 4003, *range(5200, 5600, 21)]
    path = write(tmp_path / "clip.mkv", len(times), times=times, bf="0")
    found = list(frames(path, 1000))
    assert [frame.ms for frame in found] == [0, 1477, 4003, 5200]
    assert [times[number_of(frame.image)] for frame in found] == [0, 1477, 4003, 5200]


@pytest.mark.parametrize("every", [200, 1000])
def test_frames_of_a_stream_without_times_are_all_counted(tmp_path: Path, every: int) -> None:
    """Those that no other needs, too."""
    path = write(tmp_path / "clip.h264", 60, bf="3")
    found = list(frames(path, every))
    assert [frame.ms for frame in found] == [*range(0, 60 * STEP, every)]
    assert [number_of(frame.image) * STEP for frame in found] == [frame.ms for frame in found]
    rest = list(frames(path, every, first=2))
    assert [frame.ms for frame in rest] == [frame.ms for frame in found[2:]]


def test_times_of_an_avi_go_forward(tmp_path: Path) -> None:
    """findings/pyav-avi-times.sh. A frame is told to be decoded up to four frames late."""
    found = list(frames(write(tmp_path / "clip.avi", 50, bf="3"), 0))
    assert [number_of(frame.image) for frame in found] == [*range(50)]
    assert [frame.ms for frame in found] == sorted({frame.ms for frame in found})
    assert all(0 <= frame.ms - number * STEP <= B_FRAMES for number, frame in enumerate(found))


def test_every_frame(tmp_path: Path) -> None:
    found = list(frames(write(tmp_path / "clip.mp4", 30), 0))
    assert [(frame.ms, number_of(frame.image)) for frame in found] == [
        (n * STEP, n) for n in range(30)
    ]


def test_only_what_is_needed_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "clip.mp4", 100, g="25", sc_threshold="0")
    seen = decoded_of(monkeypatch)
    assert [frame.ms for frame in frames(path, 1000)] == [0, 1000, 2000, 3000]
    assert len(seen) <= 12
    seen.clear()
    path = write(tmp_path / "long.mp4", 100, g="250", sc_threshold="0")
    assert len(list(frames(path, 1000))) == 4
    assert len(seen) <= 60, "frames that no other needs are not decoded"


def test_it_goes_on_from_any_interval(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", 100, g="50")
    whole = list(frames(path, 500))
    rest = list(frames(path, 500, first=5))
    assert [frame.ms for frame in rest] == [frame.ms for frame in whole if frame.ms >= 2500]
    assert (rest[0].image == whole[5].image).all()
    assert list(frames(path, 500, first=100)) == []


def test_a_damaged_part_costs_only_its_own_frames(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.ts", 75, g="25", sc_threshold="0")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 188 * 188
    data[middle : middle + 188 * 3] = np.random.default_rng(0).bytes(188 * 3)
    path.write_bytes(data)
    found = [frame.ms for frame in frames(path)]
    assert found[0] == 0
    assert found[-1] // 1000 == 2
    path.write_bytes(bytes(data[: len(data) // 2]))
    assert next(frames(path)).ms == 0
    path = write(
        tmp_path / "clip.mp4", 75, g="25", sc_threshold="0", container={"movflags": "faststart"}
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert [frame.ms for frame in frames(path)][:2] == [0, 1000]
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(InvalidImage):
        list(frames(path))


def test_what_ffmpeg_cannot_do_is_an_error_of_the_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise av.error.PatchWelcomeError(1, "not yet implemented")

    path = write(tmp_path / "clip.mp4", 3)
    monkeypatch.setattr(module, "decode", fail)
    with pytest.raises(InvalidImage, match="cannot be read: not yet implemented"):
        list(frames(path))


def test_frames_are_no_larger_than_allowed(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", 3)
    with pytest.raises(ImageTooLarge, match=f"{WIDTH}x{HEIGHT} pixels"):
        list(frames(path, max_pixels=WIDTH * HEIGHT - 1))
    assert len(list(frames(path, max_pixels=WIDTH * HEIGHT))) == 1
