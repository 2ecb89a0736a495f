"""Whatever is killed, and when: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .backend import Backend
from .clips import Scene, write_clip
from .conftest import FaceService, Photos

SECONDS, FRAMES = 5, 25


@pytest.fixture(scope="module")
def clip(photos: Photos, tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> Path:
    """Two people, and so two faces, in every frame."""
    pair = (photos("Charlton_Heston", 0), photos("Ana_Guevara", 0))
    return write_clip(tmp_path_factory.mktemp("clip"), [Scene(SECONDS, pair)])


@pytest.fixture(scope="module")
def backend(start_backend: Callable[..., Backend]) -> Backend:
    """One that looks at five frames a second: there is time to kill somebody."""
    return start_backend(FRAME_INTERVAL_MS="200", LOG_LEVEL="info")


def analysed_in_part(backend: Backend, video: int) -> int:
    """Wait until some frames are stored, but not all; up to which millisecond."""

    def part() -> int | None:
        found: int | None = backend.get(f"/api/videos/{video}")["analysed_ms"]
        return found

    stored = backend.until(part)
    assert stored < SECONDS * 1000 - 1000, "it was over before anything could be killed"
    return stored


def assert_whole(backend: Backend, video: int) -> None:
    found = backend.analysed(video)
    assert (found["frames"], found["frames_skipped"]) == (FRAMES, 0)
    assert len(found["people"]) == 2
    faces = backend.get(f"/api/videos/{video}/faces")
    assert len(faces) == 2 * FRAMES
    intervals = sorted(face["frame_ms"] // 200 for face in faces)
    assert intervals == [n for n in range(FRAMES) for _ in range(2)]
    assert all(face["appearance_id"] for face in faces)


def test_a_killed_backend_goes_on_where_it_was(backend: Backend, clip: Path) -> None:
    video = backend.upload(clip)
    stored = analysed_in_part(backend, video)
    backend.kill()
    backend.start()
    assert backend.get(f"/api/videos/{video}")["analysed_ms"] >= stored
    assert_whole(backend, video)


def test_what_ends_or_is_killed_is_waited_for(
    backend: Backend, face_service: FaceService, clip: Path
) -> None:
    """The face service is killed, and the backend is told to end while it waits."""
    video = backend.upload(clip)
    analysed_in_part(backend, video)
    face_service.kill()
    time.sleep(1)
    assert backend.get(f"/api/videos/{video}")["state"] in ("analysing", "waiting")
    assert backend.stop() == 0
    assert backend.query("SELECT state, attempts FROM jobs") == [["queued", "0"]]
    backend.start()
    face_service.start()
    assert_whole(backend, video)


@pytest.fixture(scope="module")
def other(backend: Backend, start_backend: Callable[..., Backend]) -> Backend:
    """A second one on the same data."""
    return start_backend(
        FRAME_INTERVAL_MS="200",
        LOG_LEVEL="info",
        DATABASE_URL=backend.database,
        DATA_DIR=str(backend.uploads),
    )


def test_two_backends_share_the_work(
    backend: Backend, other: Backend, photos: Photos, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path, [Scene(2, (photos("Charlton_Heston", 0),))])
    videos = [backend.upload(clip) for _ in range(6)]  # the other one looks every half second
    for video in videos:
        assert other.analysed(video)["frames"] == 10
    taken = [each.log().count('"kind":"analyse"') for each in (backend, other)]
    assert min(taken) > 0, "one of them did everything"


def test_who_sleeps_through_a_lease_writes_nothing_any_more(
    backend: Backend, other: Backend, clip: Path
) -> None:
    """A backend is halted in the middle, another takes over, the first one wakes up."""
    other.process.send_signal(signal.SIGSTOP)
    video = backend.upload(clip)
    analysed_in_part(backend, video)
    backend.process.send_signal(signal.SIGSTOP)
    other.process.send_signal(signal.SIGCONT)
    try:
        assert_whole(other, video)
    finally:
        backend.process.send_signal(signal.SIGCONT)
    backend.until(lambda: "taken over or deleted" in backend.log())
    assert_whole(other, video)


def test_what_cannot_be_read_fails_with_a_sentence(backend: Backend, tmp_path: Path) -> None:
    file = tmp_path / "notes.mp4"
    file.write_text("no video at all")
    video = backend.upload(file)
    found = backend.until(
        lambda: (found := backend.get(f"/api/videos/{video}"))["state"] == "failed" and found
    )
    assert "no video or picture" in found["error"]


def test_a_job_is_one_run_s_at_a_time(bun: Path, database_url: str) -> None:
    """Enqueued twice, claimed once; after its lease another run has it, and the first is late. One
    that failed gives way to its successor."""
    script = Path(__file__).with_name("queue.ts")
    environment = {**os.environ, "DATABASE_URL": database_url}
    done = subprocess.run([bun, script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "once": True,
        "same": True,
        "refused": True,
        "before": 0,
        "after": {"n": 1, "jobs": 0},
        "during": None,
        "claimed": 8,
        "kept": [{"state": "queued", "error": None}],
    }


def has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_an_ffmpeg_that_hangs_is_killed_and_the_video_tried_again(
    start_backend: Callable[..., Backend], ffmpeg: str, clip: Path, tmp_path: Path
) -> None:
    """The first time that frames are asked of it, a stand-in sleeps; then it is FFmpeg."""
    stand_in, pid = tmp_path / "ffmpeg", tmp_path / "pid"
    stand_in.write_text(f"""#!/bin/sh
        case "$*" in *image2pipe*)
          [ -e {pid} ] || {{ echo $$ >{pid}; exec sleep 600; }}
        esac
        exec {ffmpeg} "$@"
        """)
    stand_in.chmod(0o755)
    backend = start_backend(
        FRAME_INTERVAL_MS="200", FFMPEG=str(stand_in), FFMPEG_TIMEOUT_S="4", LOG_LEVEL="info"
    )
    video = backend.upload(clip)
    found = backend.until(
        lambda: (found := backend.get(f"/api/videos/{video}"))["error"] is not None and found
    )
    assert (found["state"], found["frames"]) == ("waiting", 0)
    assert found["error"] == "FFmpeg has hung: it gave nothing for 4 s"
    backend.until(lambda: has_ended(int(pid.read_text())), 10)
    assert_whole(backend, video)
