"""Files that are videos, and files that are none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import numpy as np
import pytest

from face_service.errors import InvalidImage, InvalidRequest
from face_service.video import frames as module
from face_service.video.decoding import packets_of
from face_service.video.frames import frames
from face_service.vision.kinds import HEAD, name_unread

from .clips import write


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


def test_what_is_opened_as_no_video_is_named(tmp_path: Path, four_faces: Path) -> None:
    sound = tmp_path / "song.mp3"
    with av.open(str(sound), "w") as file:
        stream = file.add_stream("mp3", rate=44_100)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.float32), "fltp", "mono")
        samples.rate = 44_100
        file.mux(stream.encode(samples))
        file.mux(stream.encode())
    archive = tmp_path / "clip.zip"
    archive.write_bytes(b"PK\x03\x04" + bytes(300))
    raw = tmp_path / "clip.y4m"
    raw.write_bytes(b"YUV4MPEG2 W16 H16 F25:1 C420\nFRAME\n" + bytes(384))
    for path, what in (
        (four_faces, r"it is a picture \(JPEG\)"),
        (archive, "it is a ZIP archive"),
        (sound, "it is a sound"),
        (raw, "it is in none of these containers: mov,matroska"),
    ):
        with pytest.raises(InvalidImage, match=f"No video that FFmpeg can read: {what}"):
            list(frames(path))


@pytest.mark.parametrize("container", ["avi", "mkv", "mp4", "flv"])
def test_titles_may_be_in_any_encoding(tmp_path: Path, container: str) -> None:
    """Those of older cameras and programs are not in UTF-8."""
    path = write(tmp_path / f"clip.{container}", 3, metadata={"title": "cafe"})
    data = path.read_bytes()
    assert b"cafe" in data
    path.write_bytes(data.replace(b"cafe", "café".encode("latin-1")))
    assert len(list(frames(path))) == 1


def test_a_codec_that_nobody_knows_is_said_to_be_one(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", 3)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(InvalidImage, match="coded in a way that FFmpeg does not know"):
        list(frames(path))


def test_a_stream_that_turns_up_on_the_way_ends_nothing() -> None:
    """PyAV looks for it in a list of those from the beginning, behind the last packet, by what
    lies in memory that it did not fill: it cannot be made to here."""
    packets = [SimpleNamespace(size=1), SimpleNamespace(size=2)]

    class Container:
        def demux(self, _: object) -> Iterator[SimpleNamespace]:
            yield from packets
            raise IndexError("list index out of range")

    found: Any = packets_of(cast(Any, Container()), cast(Any, None))
    assert list(found) == packets


def test_without_pyav_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InvalidRequest, match=r"pip install -r requirements-video\.lock"):
        list(module.frames(tmp_path / "clip.mp4"))


@pytest.mark.parametrize(
    ("container", "name"),
    [
        ("mp4", "an MP4 video"),
        ("mov", "a QuickTime video"),
        ("mkv", "a Matroska or WebM video"),
        ("avi", "an AVI video"),
        ("ts", "an MPEG transport stream"),
        ("m2ts", "an MPEG transport stream"),
        ("flv", "an FLV video"),
        ("mpg", "an MPEG video"),
        ("mxf", "an MXF video"),
        ("webm", "a Matroska or WebM video"),
        ("ogg", "an Ogg video or sound"),
        ("h264", "a video without a container (H.264 or H.265)"),
        ("hevc", "a video without a container (H.264 or H.265)"),
    ],
)
def test_containers_are_told_by_their_first_bytes(
    tmp_path: Path, container: str, name: str
) -> None:
    codecs = {
        "webm": "libvpx",
        "ogg": "libvpx",
        "mpg": "mpeg2video",
        "mxf": "mpeg2video",
        "hevc": "libx265",
    }
    path = write(tmp_path / f"clip.{container}", 5, codec=codecs.get(container, "libx264"))
    kind = name_unread(path.read_bytes()[:HEAD])
    assert kind
    assert (kind.name, kind.video) == (name, True)
    assert len(list(frames(path))) == 1


def test_pictures_sounds_and_texts_are_no_videos(four_faces: Path) -> None:
    heads = (four_faces.read_bytes()[:HEAD], b"", b"GG", b"G" + bytes(200), b"%PDF-1.7\n")
    sounds = (b"ID3\x04" + bytes(9), b"RIFF1234WAVEfmt ", b"\0\0\0\x1cftypM4A ")
    for head in (*heads, *sounds):
        kind = name_unread(head)
        assert not kind or not kind.video
        assert (kind is not None and kind.name == "a sound") == (head in sounds)
