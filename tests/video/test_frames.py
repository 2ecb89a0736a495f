"""Frames of real videos: their times, what is decoded, and how they look."""

from __future__ import annotations

import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from face_service.errors import ImageTooLarge, InvalidImage, InvalidRequest
from face_service.video import frames as module
from face_service.video.fields import Fields, find_fields
from face_service.video.frames import Source, frames
from face_service.video.opening import HEAD, is_video, opened
from face_service.vision.combing import combing

from .clips import HEIGHT, RATE, WIDTH, number_of, numbered, write

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


def test_times_are_those_of_the_file_where_frames_come_unevenly(tmp_path: Path) -> None:
    times = [*range(0, 900, 33), 1477, 1500, 4003, *range(5200, 5600, 21)]
    path = write(tmp_path / "clip.mkv", len(times), times=times, bf="0")
    found = list(frames(path, 1000))
    assert [frame.ms for frame in found] == [0, 1477, 4003, 5200]
    assert [times[number_of(frame.image)] for frame in found] == [0, 1477, 4003, 5200]


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


@pytest.mark.parametrize(
    ("degrees", "mirrored", "turn"),
    [
        (90, False, lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE)),
        (-90, False, lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)),
        (180, False, lambda image: cv2.rotate(image, cv2.ROTATE_180)),
        (0, True, lambda image: cv2.flip(image, 1)),
        (45, False, lambda image: image),
    ],
)
def test_frames_are_upright(tmp_path: Path, degrees: int, mirrored: bool, turn: Any) -> None:
    def prepare(stream: Any) -> None:
        stream.set_display_rotation(degrees, hflip=mirrored)

    (found,) = frames(write(tmp_path / "clip.mp4", 3, prepare=prepare))
    expected = turn(numbered(0))
    assert found.image.shape == expected.shape
    assert np.abs(found.image.astype(int) - expected).mean() < 4


def test_pixels_become_square(tmp_path: Path) -> None:
    def prepare(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)

    path = write(tmp_path / "clip.mkv", 3, prepare=prepare)
    (found,) = frames(path)
    assert found.image.shape == (HEIGHT, WIDTH * 3 // 2, 3)
    assert number_of(found.image) == 0


@pytest.mark.parametrize(("transfer", "expected"), [(16, 182), (18, 142)], ids=["PQ", "HLG"])
def test_hdr_is_mapped_to_the_range_of_a_screen(
    tmp_path: Path, transfer: int, expected: int
) -> None:
    """A signal of a half is 92 cd/m² in PQ and 51 in HLG; white is 203 (BT.2408), the screen's
    exponent 2.4 (BT.1886). OpenCV gives the same (findings/opencv-hdr-video.sh)."""

    def tag(target: Any) -> None:
        target.color_primaries, target.color_trc = 9, transfer
        target.colorspace, target.color_range = 9, 1

    def grey(_: int) -> np.ndarray:
        return np.full((64, 64, 3), 127, np.uint8)

    def prepare(stream: Any) -> None:
        tag(stream.codec_context)

    path = write(tmp_path / "hdr.mp4", 2, grey, pixels="yuv420p10le", prepare=prepare, tag=tag)
    (found,) = frames(path)
    assert np.abs(found.image.astype(int) - expected).max() <= 3
    with av.open(str(path)) as file:
        unmapped = next(file.decode(video=0)).to_ndarray(format="bgr24")
    assert np.abs(unmapped.astype(int) - 127).max() <= 2


@pytest.mark.parametrize(("height", "matrix"), [(480, 5), (720, 1)])
def test_a_matrix_that_is_not_said_is_that_of_the_size(
    tmp_path: Path, height: int, matrix: int
) -> None:
    def picture(_: int) -> np.ndarray:
        return np.full((height, 640, 3), (40, 60, 200), np.uint8)

    def tagged(tag: int) -> np.ndarray:
        def prepare(stream: Any) -> None:
            stream.codec_context.colorspace = tag

        (found,) = frames(write(tmp_path / f"{tag}.mp4", 1, picture, prepare=prepare, qp="1"))
        return found.image.astype(int)

    other = 6 - matrix
    assert np.abs(tagged(2) - tagged(matrix)).mean() < 1
    assert np.abs(tagged(2) - tagged(other)).mean() > 3


@pytest.fixture(scope="module")
def photo(four_faces: Path) -> np.ndarray:
    image = cv2.imread(str(four_faces))
    return np.ascontiguousarray(image[20:308, 40:552])


def of_two_moments(photo: np.ndarray, top_first: bool) -> Any:
    """A photo that moves eight pixels between two fields."""

    def picture(number: int) -> np.ndarray:
        moments = [np.roll(photo, 8 * (2 * number + field), axis=1) for field in (0, 1)]
        woven = moments[0 if top_first else 1].copy()
        woven[1::2] = moments[1 if top_first else 0][1::2]
        return woven

    return picture


def test_interlaced_frames_are_deinterlaced_by_their_neighbours(
    tmp_path: Path, photo: np.ndarray
) -> None:
    box = np.array([0, 0, *photo.shape[1::-1]], np.float32)
    for name, top_first in (("tff", True), ("bff", False)):
        picture = of_two_moments(photo, top_first)
        path = write(tmp_path / f"{name}.mp4", 30, picture, qp="10")
        with opened(path) as (file, stream):
            assert find_fields(file, stream) is Fields(name)
        with av.open(str(path)) as file:
            raw = next(file.decode(video=0)).to_ndarray(format="bgr24")
        assert combing(raw, box) > 20
        found = list(frames(path))
        assert [frame.ms for frame in found] == [0, 1000]
        assert all(combing(frame.image, box) < 3 for frame in found)
        expected = np.roll(photo, 8 * 2 * 25, axis=1).astype(int)
        assert np.abs(found[1].image - expected).mean() < 12, "the first field's moment"


def test_what_frames_say_of_fields_is_believed(tmp_path: Path, photo: np.ndarray) -> None:
    flags = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    picture = of_two_moments(photo, True)
    path = write(tmp_path / "marked.mp4", 10, picture, qp="10", **flags)
    with opened(path) as (file, stream):
        assert find_fields(file, stream) is Fields.MARKED
    box = np.array([0, 0, *photo.shape[1::-1]], np.float32)
    (found,) = frames(path)
    assert combing(found.image, box) < 3


def test_what_only_moves_is_progressive(tmp_path: Path, photo: np.ndarray) -> None:
    path = write(tmp_path / "pan.mp4", 30, lambda n: np.roll(photo, 8 * n, axis=1), qp="10")
    with opened(path) as (file, stream):
        assert find_fields(file, stream) is Fields.NONE


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("not a video")
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/clip.ts\n")
    (tmp_path / "empty.mp4").touch()
    for name in ("notes.mp4", "list.mp4", "empty.mp4"):
        with pytest.raises(InvalidImage, match="No video that FFmpeg can read"):
            list(frames(tmp_path / name))
    with pytest.raises(InvalidRequest, match="No such file"):
        list(frames(tmp_path / "absent.mp4"))
    with av.open(str(tmp_path / "sound.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.rate, sound.pts = 8000, 0
        file.mux(stream.encode(sound))
        file.mux(stream.encode())
    with pytest.raises(InvalidImage, match="no moving picture"):
        list(frames(tmp_path / "sound.mp4"))


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


def test_without_pyav_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InvalidRequest, match=r"pip install -r requirements-video\.lock"):
        list(module.frames(tmp_path / "clip.mp4"))


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "avi", "ts", "flv", "mpg", "webm"])
def test_containers_are_told_by_their_first_bytes(tmp_path: Path, container: str) -> None:
    codec = {"webm": "libvpx", "mpg": "mpeg2video"}.get(container, "libx264")
    path = write(tmp_path / f"clip.{container}", 5, codec=codec)
    assert is_video(path.read_bytes()[:HEAD])
    assert len(list(frames(path))) == 1


def test_pictures_and_texts_are_no_containers(four_faces: Path) -> None:
    for head in (four_faces.read_bytes()[:HEAD], b"", b"GG", b"G" + bytes(200), b"%PDF-1.7\n"):
        assert not is_video(head)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({"tff": 30}, Fields.TOP),
        ({"bff": 9, "progressive": 20}, Fields.BOTTOM),
        ({"bff": 4}, Fields.NONE),
        ({"tff": 6, "progressive": 30}, Fields.NONE),
        ({"tff": 44, "bff": 19, "progressive": 8}, Fields.NONE),  # FFmpeg's testsrc2, progressive
        ({"progressive": 30, "marked": 1}, Fields.MARKED),
    ],
)
def test_when_frames_are_of_two_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: dict[str, int], expected: Fields
) -> None:
    monkeypatch.setattr("face_service.video.fields.look", lambda *_: Counter(seen))
    with opened(write(tmp_path / "clip.mp4", 3)) as (file, stream):
        assert find_fields(file, stream) is expected
