"""Files that are handed in: their names, their kinds, and where they are kept."""

from __future__ import annotations

import os
import resource
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest

from tests import formats

from .backend import Backend
from .clips import Scene, write_clip
from .conftest import Photos

FORM = {"Content-Type": "multipart/form-data; boundary=x"}


def part(disposition: str) -> bytes:
    """The beginning of a form's file, up to its content."""
    return (
        f'--x\r\nContent-Disposition: form-data; name="files"{disposition}\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()


def test_a_file_may_have_any_name_or_none(backend: Backend) -> None:
    def shown(disposition: str) -> str:
        body = part(disposition) + b"content\r\n--x--\r\n"
        [video] = backend.post("/api/videos", content=body, headers=FORM)
        name: str = backend.get(f"/api/videos/{video['id']}")["name"]
        backend.delete(f"/api/videos/{video['id']}")
        return name

    assert shown("") == "unnamed"
    assert shown('; filename="../a\0b.mp4"') == "ab.mp4"
    assert shown(f'; filename="{"é" * 300}.mp4"') == "é" * 251 + ".mp4"


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (b"garbage", FORM),
        (part('; filename="a"'), FORM),
        (part('; filename="a"') + bytes(200_000), FORM),
        (part('; filename="a"') + b"content", {"Content-Type": "multipart/form-data"}),
    ],
    ids=["garbage", "no-content", "no-end", "no-boundary"],
)
def test_a_form_that_cannot_be_read_is_the_caller_s_fault(
    backend: Backend, body: bytes, form: dict[str, str]
) -> None:
    answer = backend.http.post("/api/videos", content=body, headers=form)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.json()["detail"].startswith("The form cannot be read: ")
    assert not any(backend.uploads.iterdir())


def test_photos_of_somebody_forgotten_meanwhile_are_not_kept(backend: Backend) -> None:
    creator = backend.post("/api/creators", json={"name": "Soon forgotten"})["id"]

    def body() -> Iterator[bytes]:
        yield part('; filename="a.jpg"') + bytes(200_000)
        backend.until(lambda: any(backend.uploads.iterdir()))
        backend.delete(f"/api/creators/{creator}")
        yield b"\r\n--x--\r\n"

    path = f"/api/creators/{creator}/photos"
    answer = backend.http.post(path, content=body(), headers=FORM)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert not any(backend.uploads.iterdir())


def test_a_file_comes_back_by_ranges_and_never_as_a_page(backend: Backend) -> None:
    page = b"<script>alert(1)</script>"
    video = backend.post("/api/videos", files={"files": ("page.html", page)})[0]["id"]
    whole = backend.http.get(f"/api/videos/{video}/file")
    assert whole.content == page
    assert whole.headers["content-security-policy"] == "sandbox"
    part = backend.http.get(f"/api/videos/{video}/file", headers={"Range": "bytes=0-6"})
    assert (part.status_code, part.content) == (206, b"<script")
    backend.delete(f"/api/videos/{video}")
    assert not any(backend.uploads.iterdir())


def test_what_a_killed_backend_left_is_swept_away(backend: Backend) -> None:
    """But nothing that is not an upload of this database: the folder may have been somebody's."""
    video = backend.upload(Path(__file__))
    [kept] = backend.uploads.iterdir()
    [[installation]] = backend.query("SELECT id FROM installation")
    old, young = (backend.uploads / f"{installation}.{age}" for age in ("old", "young"))
    other = backend.uploads / f"{uuid.uuid4()}.of-another-database"
    holiday = backend.uploads / "holiday.mp4"
    (backend.uploads / "folder").mkdir()
    for file in (old, young, other, holiday):
        file.write_text("a part of an upload, or a film")
    for file in (old, kept, other, holiday):
        os.utime(file, (0, 0))
    backend.stop()
    backend.start()
    left = {file for file in backend.uploads.iterdir() if file.is_file()}
    assert left == {kept, young, other, holiday}
    (backend.uploads / "folder").rmdir()
    for file in (young, other, holiday):
        file.unlink()
    backend.delete(f"/api/videos/{video}")


@pytest.mark.parametrize("write", [formats.heic, formats.avif], ids=["heic", "avif"])
def test_pictures_of_phones_are_pictures(
    backend: Backend, photos: Photos, tmp_path: Path, write: Callable[..., bytes]
) -> None:
    """FFmpeg cannot read all of them; the face service does."""
    photo = cv2.imread(str(photos("Ana_Guevara", 0)))
    picture = tmp_path / "picture"
    options = {"tile": 128} if write is formats.heic else {}
    picture.write_bytes(write(photo, **options))
    found = backend.analysed(backend.upload(picture))
    assert (found["frames"], found["frames_skipped"], found["duration_ms"]) == (1, 0, None)
    assert len(found["people"]) == 1
    backend.delete(f"/api/videos/{found['id']}")


def test_a_picture_that_is_refused_fails_with_the_reason(
    backend: Backend, photos: Photos, tmp_path: Path
) -> None:
    """As the face service says it; its header is whole, and FFmpeg content."""
    picture = tmp_path / "cut.jpg"
    picture.write_bytes(photos("Ana_Guevara", 0).read_bytes()[:1500])
    video = backend.upload(picture)
    backend.settled()
    found = backend.get(f"/api/videos/{video}")
    assert found["state"] == "failed"
    assert found["error"].startswith("This picture was refused: ")
    backend.delete(f"/api/videos/{video}")


def test_a_recording_that_does_not_say_how_long_it_is(
    backend: Backend, ffmpeg: str, photos: Photos, tmp_path: Path
) -> None:
    """As browsers record. It is as long as what was seen of it, and no picture."""
    clip = write_clip(tmp_path, [Scene(3, (photos("Ana_Guevara", 0),))])
    recording = tmp_path / "recording.mkv"
    with recording.open("wb") as out:
        command = [ffmpeg, "-v", "error", "-i", clip, "-c", "copy", "-f", "matroska", "pipe:1"]
        subprocess.run(command, stdout=out, check=True)
    found = backend.analysed(backend.upload(recording))
    assert (found["frames"], found["duration_ms"]) == (3, 2000)
    [person] = found["people"]
    assert person["tracks"] == [{"first_ms": 0, "last_ms": 2000}]
    backend.delete(f"/api/videos/{found['id']}")


def test_a_disk_without_room_is_said_and_nothing_is_left(backend: Backend) -> None:
    """Here a file may have 100 kB."""
    body = part('; filename="a.mp4"') + bytes(3_000_000) + b"\r\n--x--\r\n"
    unlimited = resource.prlimit(backend.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(backend.process.pid, resource.RLIMIT_FSIZE, (100_000, unlimited[1]))
    try:
        answer = backend.http.post("/api/videos", content=body, headers=FORM)
    finally:
        resource.prlimit(backend.process.pid, resource.RLIMIT_FSIZE, unlimited)
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert not any(backend.uploads.iterdir())
    [made] = backend.post("/api/videos", content=body, headers=FORM)
    backend.delete(f"/api/videos/{made['id']}")


FULL = """
    CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION full_disk()"""
ROOM = "DROP FUNCTION full_disk CASCADE"


def test_a_database_without_room_is_waited_for(backend: Backend, photos: Photos) -> None:
    photo = photos("Ana_Guevara", 0)
    backend.query(FULL.format("videos"))
    answer = backend.http.post("/api/videos", files={"files": ("a.jpg", photo.read_bytes())})
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert not any(backend.uploads.iterdir())
    backend.query(ROOM)
    backend.query(FULL.format("video_face_detections"))
    video = backend.upload(photo)
    backend.until(lambda: backend.get(f"/api/videos/{video}")["state"] == "waiting")
    assert backend.query("SELECT attempts FROM jobs") == [["0"]]
    backend.query(ROOM)
    assert len(backend.analysed(video)["people"]) == 1
    backend.delete(f"/api/videos/{video}")


def test_a_file_that_is_too_large_is_said_however_much_follows(
    start_backend: Callable[..., Backend],
) -> None:
    backend = start_backend(MAX_UPLOAD_MB="1")
    body = b"".join(part(f'; filename="{n}"') + bytes(5_000_000) + b"\r\n" for n in range(3))
    answer = backend.http.post("/api/videos", content=body + b"--x--\r\n", headers=FORM)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert not any(backend.uploads.iterdir())
