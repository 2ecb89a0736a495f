"""What clumsy people, their browsers and their files do, and a database that crashes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from .backend import Backend, psql, tags
from .conftest import Photos
from .test_recovery import analysed_in_part, assert_whole, clip

__all__ = ["clip"]
KNOWN = "Charlton_Heston"


@pytest.fixture(scope="module")
def backend(start_backend: Callable[..., Backend]) -> Backend:
    """One that looks at five frames a second: there is time for a mishap."""
    return start_backend(FRAME_INTERVAL_MS="200", LOG_LEVEL="info")


def made(ffmpeg: str, path: Path, *arguments: str) -> Path:
    """A file that FFmpeg writes."""
    subprocess.run([ffmpeg, "-v", "error", "-y", *arguments, path], check=True)
    return path


GREY = ("-f", "lavfi", "-i", "color=gray:s=320x240:r=10")
SINE = ("-f", "lavfi", "-i", "sine", "-t", "1")


def no_frame(ffmpeg: str, folder: Path) -> Path:
    return made(ffmpeg, folder / "no-frame.avi", *GREY, "-frames:v", "0", "-c:v", "mpeg4")


def no_sample(ffmpeg: str, folder: Path) -> Path:
    return made(ffmpeg, folder / "no-sample.mp4", *GREY, "-t", "0", "-c:v", "libx264")


def sound(ffmpeg: str, folder: Path) -> Path:
    return made(ffmpeg, folder / "sound.m4a", *SINE)


def music(ffmpeg: str, folder: Path) -> Path:
    return made(ffmpeg, folder / "music.mp3", *SINE)


def cut_off(ffmpeg: str, folder: Path) -> Path:
    """Its index, which is written last, is missing."""
    whole = made(ffmpeg, folder / "whole.mp4", *GREY, "-t", "9", "-c:v", "libx264")
    path = folder / "cut-off.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return path


def scrambled(ffmpeg: str, folder: Path) -> Path:
    """Its index is whole, and all of its frames are zeros."""
    path = made(ffmpeg, folder / "scrambled.mp4", *GREY, "-t", "3", "-c:v", "libx264")
    content = path.read_bytes()
    begin = content.index(b"mdat") + 4
    size = int.from_bytes(content[begin - 8 : begin - 4], "big") - 8
    path.write_bytes(content[:begin] + bytes(size) + content[begin + size :])
    return path


def too_large(ffmpeg: str, folder: Path) -> Path:
    """Its decoder would take gigabytes."""
    large = ("-f", "lavfi", "-i", "color=gray:s=9000x4600:r=5", "-frames:v", "1", "-c:v", "mjpeg")
    return made(ffmpeg, folder / "too-large.avi", *large)


@pytest.mark.parametrize(
    "make",
    [no_frame, no_sample, sound, music, cut_off, scrambled, too_large],
    ids=lambda each: each.__name__,
)
def test_what_shows_nothing_fails_at_once_with_a_sentence(
    backend: Backend, ffmpeg: str, tmp_path: Path, make: Callable[[str, Path], Path]
) -> None:
    video = backend.upload(make(ffmpeg, tmp_path))
    backend.settled()
    found = backend.get(f"/api/videos/{video}")
    assert found["state"] == "failed", found
    assert found["error"].startswith("This file ")
    assert backend.query(f"SELECT attempts FROM jobs WHERE subject = {video}") == [["1"]]
    backend.delete(f"/api/videos/{video}")


def test_an_upload_that_is_cut_leaves_nothing(backend: Backend) -> None:
    before = set(backend.uploads.iterdir()), backend.query("SELECT count(*) FROM videos")
    cookie = "; ".join(f"{name}={value}" for name, value in backend.http.cookies.items())
    head = (
        f"POST /api/videos HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nContent-Length: 9000000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        'Content-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", backend.port)) as connection:
        connection.sendall(head.encode() + bytes(500_000))
        backend.until(lambda: set(backend.uploads.iterdir()) != before[0])
    backend.until(lambda: set(backend.uploads.iterdir()) == before[0])
    assert backend.query("SELECT count(*) FROM videos") == before[1]


def test_a_photo_of_nobody(backend: Backend, tmp_path: Path) -> None:
    photo = tmp_path / "wall.png"
    cv2.imwrite(str(photo), np.full((300, 400, 3), 90, np.uint8))
    video = backend.upload(photo)
    found = backend.analysed(video)
    assert (found["frames"], found["people"]) == (1, [])
    creator = backend.enrol("Nobody", [photo])
    backend.settled()
    [refused] = backend.get(f"/api/creators/{creator}")["photos"]
    assert (refused["state"], refused["reason"]) == ("refused", "No face found")


def crash(backend: Backend) -> None:
    """One of PostgreSQL's processes is killed, so it ends all of them, and recovers."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    [[pid, now]] = backend.query(f"SELECT pid, now() {others} LIMIT 1")
    os.kill(int(pid), signal.SIGKILL)
    left = f"SELECT count(*) {others} AND backend_start < '{now}'"
    backend.until(lambda: psql(backend.database, left).stdout == "0\n")


def test_a_database_that_crashes_is_waited_for(backend: Backend, clip: Path) -> None:
    """Twice; meanwhile answers say so."""
    video = backend.upload(clip)

    def there() -> bool:
        answer = backend.http.get(f"/api/videos/{video}")
        assert answer.status_code == 200 or answer.json()["code"] == "not_ready", answer.text
        return answer.is_success

    for _ in range(2):
        analysed_in_part(backend, video)
        crash(backend)
        backend.until(there)
    assert_whole(backend, video)


def test_somebody_is_forgotten_while_a_video_is_looked_through(
    backend: Backend, photos: Photos, clip: Path
) -> None:
    creator = backend.enrol(KNOWN, [photos(KNOWN, 0)])
    backend.settled()
    video = backend.upload(clip)
    analysed_in_part(backend, video)
    backend.delete(f"/api/creators/{creator}")
    assert_whole(backend, video)
    assert tags(backend.get(f"/api/videos/{video}")) == {}
    backend.settled()
    backend.delete(f"/api/videos/{video}")


def test_a_video_is_deleted_while_it_is_looked_through(backend: Backend, clip: Path) -> None:
    before = set(backend.uploads.iterdir())
    video = backend.upload(clip)
    analysed_in_part(backend, video)
    backend.delete(f"/api/videos/{video}")
    backend.settled()
    backend.until(lambda: "taken over or deleted" in backend.log())
    left = f"SELECT count(*) FROM video_face_detections WHERE video_id = {video}"
    assert backend.query(left) == [["0"]]
    assert set(backend.uploads.iterdir()) == before
