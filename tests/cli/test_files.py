"""Which files are looked at, in which order, and what is said of the others."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from face_service.cli.files import File, find_files, read_file
from face_service.errors import ImageTooLarge, InvalidRequest

PNG = b"\x89PNG\r\n\x1a\n and so on"
NOBODY = 65534


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in ("b/2.png", "b/10.png", "a/1.png", "z.png", "c.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    return folder


def names(*paths: Path) -> list[str]:
    return [str(file.relative) for file in find_files(paths)]


def found(*paths: Path) -> list[Path]:
    return [file.path for file in find_files(paths)]


def test_a_folder_is_searched_by_name_files_before_subfolders(photos: Path) -> None:
    assert names(photos) == ["c.png", "z.png", "a/1.png", "b/10.png", "b/2.png"]


def test_paths_keep_the_order_in_which_they_are_given(photos: Path) -> None:
    assert found(photos / "z.png", photos / "b", photos / "c.png") == [
        photos / "z.png",
        photos / "b/10.png",
        photos / "b/2.png",
        photos / "c.png",
    ]


def test_a_file_that_is_named_twice_is_there_once_and_counts_as_named(photos: Path) -> None:
    files = find_files([photos / "c.png", photos, photos / "c.png", photos])
    assert [file.path for file in files] == [photos / "c.png", *found(photos)[1:]]
    assert [file.named for file in files] == [True, False, False, False, False]


def test_links_that_lead_back_end(photos: Path) -> None:
    (photos / "a/up").symlink_to(photos)
    (photos / "a/itself").symlink_to(photos / "a")
    (photos / "b/across").symlink_to(photos / "a")
    assert names(photos) == ["c.png", "z.png", "a/1.png", "b/10.png", "b/2.png"]


def test_a_link_to_a_folder_elsewhere_is_followed_once(photos: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "deep/e.png").write_bytes(PNG)
    (elsewhere / "back").symlink_to(photos)
    for link in ("a/first", "b/second"):
        (photos / link).symlink_to(elsewhere)
    assert names(photos)[-1] == "a/first/deep/e.png"
    assert len(names(photos)) == 6


def test_a_folder_may_be_given_by_a_link(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(photos)
    assert names(tmp_path / "link") == names(photos)


def test_a_linked_file_is_a_file_of_its_own(photos: Path) -> None:
    (photos / "d.png").symlink_to(photos / "c.png")
    assert names(photos)[:2] == ["c.png", "d.png"]


def test_a_dangling_link_is_in_the_list_and_says_why(photos: Path) -> None:
    (photos / "gone.png").symlink_to(photos / "nowhere")
    (photos / "round.png").symlink_to(photos / "round.png")
    files = {str(file.relative): file for file in find_files([photos])}
    with pytest.raises(InvalidRequest, match="No such file"):
        read_file(files["gone.png"], 1000)
    with pytest.raises(InvalidRequest, match="Too many levels of symbolic links"):
        read_file(files["round.png"], 1000)


def test_what_would_wait_for_ever_is_left_out(photos: Path) -> None:
    os.mkfifo(photos / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(photos / "socket"))
        assert names(photos) == ["c.png", "z.png", "a/1.png", "b/10.png", "b/2.png"]


def test_a_folder_that_may_not_be_read_is_in_the_list_and_says_why() -> None:
    with TemporaryDirectory() as name:  # which others may enter, unlike tmp_path
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "locked").mkdir(mode=0)
        (folder / "open.png").write_bytes(PNG)
        with nobody():
            files = find_files([folder])
            assert [str(file.relative) for file in files] == ["open.png", "locked"]
            with pytest.raises(InvalidRequest, match="Permission denied"):
                read_file(files[1], 1000)


@contextmanager
def nobody() -> Iterator[None]:
    """No more rights than anybody has, for the length of the block, where tests run as root."""
    user = os.geteuid()
    os.seteuid(user or NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_name_that_is_no_text_can_be_printed(photos: Path) -> None:
    path = Path(os.fsdecode(b"%s/caf\xe9.png" % os.fsencode(photos)))
    path.write_bytes(PNG)
    (file,) = (file for file in find_files([photos]) if file.path == path)
    assert file.name == f"{photos}/caf\\xe9.png"
    assert read_file(file, 1000) == PNG


def test_the_bytes_decide_what_is_an_image(tmp_path: Path) -> None:
    (tmp_path / "image.txt").write_bytes(PNG)
    (tmp_path / "text.png").write_bytes(b"not an image")
    (tmp_path / "empty.png").touch()
    files = find_files([tmp_path])
    assert [read_file(file, 1000) for file in files] == [None, PNG, None]


def test_a_named_file_is_read_whatever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"not an image")
    assert read_file(File(path, True, Path("notes.txt")), 1000) == b"not an image"


def test_no_more_is_read_than_a_request_may_have(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(PNG.ljust(1001))
    file = File(path, True, Path("large.png"))
    assert len(read_file(file, 1001) or b"") == 1001
    with pytest.raises(ImageTooLarge, match=r"larger than MAX_BODY_MB \(0.001 MB\)"):
        read_file(file, 1000)
