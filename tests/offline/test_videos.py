"""Videos of a manifest, read by PyAV."""

from __future__ import annotations

import io
from pathlib import Path

import fsspec
import pytest

from face_service.config import Settings
from face_service.errors import FaceServiceError, InvalidImage
from face_service.face_engine import FaceEngine, Options
from face_service.offline.analyser import Analyser, Task
from face_service.offline.frames import find_frames
from face_service.offline.manifest import Item
from face_service.offline.reading import open_video
from tests.offline.library import make_reader
from tests.video.clips import RATE, number_of, write


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("clip") / "clip.mp4", 75)


@pytest.mark.parametrize(
    ("start", "end", "times"),
    [(None, None, [0, 1000, 2000]), (1.0, 2.0, [1000]), (0.5, None, [1000, 2000]), (9.0, None, [])],
)
def test_a_part_of_a_video_has_its_frames_with_their_times(
    clip: Path, start: float | None, end: float | None, times: list[int]
) -> None:
    with open_video(str(clip)) as file:
        found = list(find_frames()(file, start, end, 1.0))
    assert [frame.time_ms for frame in found] == times
    assert [number_of(frame.image) for frame in found] == [ms * RATE // 1000 for ms in times]


def test_a_video_that_lies_on_no_disk_is_read_from_a_copy(clip: Path) -> None:
    found = list(find_frames()(io.BytesIO(clip.read_bytes()), None, None, 1.0))
    assert [frame.time_ms for frame in found] == [0, 1000, 2000]


def test_a_video_at_an_address_is_read(clip: Path) -> None:
    fsspec.filesystem("memory").pipe_file("/clip.mp4", clip.read_bytes())
    with open_video("memory://clip.mp4") as file:
        found = list(find_frames()(file, None, None, 1.0))
    assert [frame.time_ms for frame in found] == [0, 1000, 2000]


def test_what_is_no_video_is_told() -> None:
    with pytest.raises(InvalidImage):
        list(find_frames()(io.BytesIO(b"text"), None, None, 1.0))


@pytest.mark.parametrize("reader", ["no_such_module:frames", "json:no_such_function"])
def test_a_reader_that_cannot_be_had_is_told(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_reader(tmp_path, reader)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(FaceServiceError, match=r"Videos cannot be read: .*no_such"):
        find_frames()


def test_a_time_without_a_frame_is_not_one_without_a_face(clip: Path, engine: FaceEngine) -> None:
    """As the last of many segments of a video that is shorter than was thought."""
    analyser = Analyser(Task(Settings(_env_file=None), Options(), "", 1.0), engine)
    inside = analyser.embed(Item(1, str(clip), 2.0, 9.0))
    assert (len(inside.frames), inside.failure) == (1, None)
    behind = analyser.embed(Item(2, str(clip), 9.0, 12.0))
    assert behind.frames == []
    assert behind.failure
    assert behind.failure.code == "no_frames"
