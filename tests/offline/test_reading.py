"""Photos and videos at paths and addresses."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from face_service.errors import ImageTooLarge
from face_service.offline import reading
from face_service.offline.reading import Unreadable, open_video, read_bytes


class Flaky(MemoryFileSystem):  # type: ignore[misc]
    """Refuses so many times, with an error that is no OSError."""

    protocol = "flaky"
    refusals = 0

    def _open(self, *given: Any, **more: Any) -> Any:
        if Flaky.refusals:
            Flaky.refusals -= 1
            raise RuntimeError("503, slow down")
        return super()._open(*given, **more)


@pytest.fixture(autouse=True)
def flaky(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    fsspec.filesystem("flaky").pipe_file("flaky://a", b"content")
    monkeypatch.setattr(reading, "PAUSES_S", (0, 0))


@pytest.mark.parametrize("refusals", [0, 1, 2])
def test_an_address_is_tried_three_times(refusals: int) -> None:
    Flaky.refusals = refusals
    assert read_bytes("flaky://a", 7) == b"content"
    Flaky.refusals = refusals
    with open_video("flaky://a") as file:
        assert file.read() == b"content"


def test_what_cannot_be_read_after_three_says_why() -> None:
    Flaky.refusals = 3
    with pytest.raises(Unreadable, match="RuntimeError: 503, slow down"):
        read_bytes("flaky://a", 7)
    assert Flaky.refusals == 0


@pytest.mark.parametrize("uri", ["flaky://absent", "absent", ".", "odd://x", "locked://x"])
def test_what_is_not_there_is_told(uri: str, locked: None) -> None:
    with pytest.raises(Unreadable):
        read_bytes(uri, 7)
    with pytest.raises(Unreadable), open_video(uri):
        pass


def test_more_than_is_allowed_is_too_large() -> None:
    with pytest.raises(ImageTooLarge, match="MAX_BODY_MB"):
        read_bytes("flaky://a", 6)


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_video_of_this_machine_is_read_where_it_is(prefix: str, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"content")
    with open_video(f"{prefix}{tmp_path / 'a.mp4'}") as file:
        assert file.name == str(tmp_path / "a.mp4")


def test_the_copy_of_a_video_has_no_name_that_a_crash_could_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_video("flaky://a") as file:
        assert file.read() == b"content"
        assert not [*tmp_path.iterdir()]
