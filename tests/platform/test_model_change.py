"""Another model: all pictures are embedded again, and until then the old one answers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .backend import Backend, tags
from .clips import Scene, write_clip
from .conftest import FaceService, Photos

KNOWN, OTHER = "Charlton_Heston", "Ana_Guevara"
SPACES = "SELECT model_id, count(*) FROM {} GROUP BY model_id"
TABLES = ("creator_face_embeddings", "video_face_embeddings", "appearance_embeddings")


@pytest.fixture(scope="module")
def other_service(
    with_edgeface: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaceService]:
    """A face service with another recogniser, which is not ready yet."""
    folder = tmp_path_factory.mktemp("other-service")
    service = FaceService(str(with_edgeface("det_500m")), folder, folder)
    yield service
    service.stop()


@pytest.fixture(scope="module")
def settings(face_service: FaceService, other_service: FaceService) -> dict[str, str]:
    """Both services; nobody has measured the pack of the second."""
    return {
        "FACE_SERVICE_URL": f"{face_service.url},{other_service.url}",
        "AUTOMATIC_SIMILARITY": "0.4",
        "SUGGESTED_SIMILARITY": "0.3",
    }


@pytest.fixture(scope="module")
def backend(start_backend: Callable[..., Backend], settings: dict[str, str]) -> Backend:
    """One that knows both."""
    return start_backend(**settings)


@pytest.fixture(scope="module")
def ask_for_change(
    start_backend: Callable[..., Backend], settings: dict[str, str], backend: Backend
) -> Callable[[], dict[str, str]]:
    """Begins a change of model through a backend that does no work itself."""

    def ask() -> dict[str, str]:
        front = start_backend(JOBS="0", DATABASE_URL=backend.database, **settings)
        answer: dict[str, str] = front.post("/api/models/change")
        front.stop()
        return answer

    return ask


def test_everything_moves_to_the_new_space(
    backend: Backend,
    face_service: FaceService,
    other_service: FaceService,
    ask_for_change: Callable[[], dict[str, str]],
    photos: Photos,
    tmp_path: Path,
) -> None:
    backend.enrol(KNOWN, [photos(KNOWN, 0), photos(KNOWN, 1)])
    scene = Scene(2, (photos(KNOWN, 2), photos(OTHER, 0)))
    clip = write_clip(tmp_path, [scene])
    video = backend.upload(clip)
    assert tags(backend.analysed(video)) == {KNOWN: "automatic"}
    backend.settled()
    before = {table: backend.query(SPACES.format(table)) for table in TABLES}
    [group] = backend.get("/api/groups")
    old = backend.get("/api/models")["current"]

    # The new service goes away before anything is embedded: the old one answers, nothing is lost.
    backend.stop()
    other_service.server.wait_until_ready()
    change = ask_for_change()
    assert change["recogniser"] != old["recogniser"]
    other_service.kill()
    backend.start()
    assert tags(backend.analysed(backend.upload(clip))) == {KNOWN: "automatic"}
    found = backend.get("/api/models")
    assert found["current"]["recogniser"] == old["recogniser"]
    assert found["next"]["recogniser"] == change["recogniser"]
    other_service.start()
    backend.until(lambda: backend.get("/api/models")["next"] is None)
    backend.settled()

    assert backend.get("/api/models")["current"]["recogniser"] == change["recogniser"]
    for table in TABLES:
        [[space, rows]] = backend.query(SPACES.format(table))
        [[old_space, old_rows]] = before[table]
        assert space != old_space and int(rows) >= int(old_rows), table
    assert tags(backend.get(f"/api/videos/{video}")) == {KNOWN: "automatic"}
    [tag] = [
        tag for person in backend.get(f"/api/videos/{video}")["people"] for tag in person["tags"]
    ]
    assert tag["threshold"] == pytest.approx(0.4)
    assert group["id"] in [each["id"] for each in backend.get("/api/groups")]

    # What comes now is looked at by the new one; the old one is not needed.
    face_service.kill()
    try:
        assert tags(backend.analysed(backend.upload(clip))) == {KNOWN: "automatic"}
    finally:
        face_service.start()
        face_service.server.wait_until_ready()


def test_a_change_is_stopped_and_begun_again(
    start_backend: Callable[..., Backend],
    settings: dict[str, str],
    other_service: FaceService,
    photos: Photos,
) -> None:
    """Asked for twice, it is one change; stopped, nothing of it is left."""
    backend = start_backend(JOBS="1", **settings)
    backend.enrol(KNOWN, [photos(KNOWN, 0)])
    backend.settled()
    other_service.server.wait_until_ready()
    backend.stop()
    front = start_backend(JOBS="0", DATABASE_URL=backend.database, **settings)
    first = front.post("/api/models/change")
    assert front.post("/api/models/change") == first
    assert front.query("SELECT kind FROM jobs") == [["reembed"]]
    current = front.get("/api/models")["current"]
    front.delete("/api/models/change")
    assert front.query("SELECT kind FROM jobs") == []
    found = front.get("/api/models")
    assert (found["current"], found["next"]) == (current, None)
    spaces = "SELECT count(*) FROM pg_class WHERE relname ~ '_embeddings_[0-9]+$'"
    assert front.query(spaces) == [["3"]]
    again = front.http.delete("/api/models/change")
    assert (again.status_code, again.json()["code"]) == (404, "not_found")

    assert front.post("/api/models/change") == first
    backend.start()
    backend.until(lambda: backend.get("/api/models")["next"] is None)
    backend.settled()
    assert backend.get("/api/models")["current"] == first
    # And back, to a model that there was before.
    assert backend.post("/api/models/change") == current
    backend.until(lambda: backend.get("/api/models")["current"] == current)
    backend.settled()
    assert backend.query(spaces) == [["3"]]
    for each in (front, backend):
        each.stop()


def test_a_change_that_runs_is_stopped(
    start_backend: Callable[..., Backend],
    settings: dict[str, str],
    other_service: FaceService,
    photos: Photos,
) -> None:
    """While its job waits for an answer of the new service, which is halted."""
    backend = start_backend(LOG_LEVEL="info", **settings)
    backend.enrol(KNOWN, [photos(KNOWN, 0)])
    backend.settled()
    other_service.server.wait_until_ready()
    backend.stop()
    front = start_backend(JOBS="0", DATABASE_URL=backend.database, **settings)
    front.post("/api/models/change")
    os.kill(other_service.server.process.pid, signal.SIGSTOP)
    try:
        backend.start()
        backend.until(lambda: backend.query("SELECT state FROM jobs") == [["running"]])
        front.delete("/api/models/change")
    finally:
        os.kill(other_service.server.process.pid, signal.SIGCONT)
    backend.until(lambda: "taken over or deleted" in backend.log())
    assert backend.get("/api/models")["next"] is None
    [[_, rows]] = backend.query(SPACES.format(TABLES[0]))
    assert rows == "1", "the references of the model that stays"
    for each in (front, backend):
        each.stop()


def test_two_jobs_of_one_change_switch_once(
    start_backend: Callable[..., Backend],
    settings: dict[str, str],
    other_service: FaceService,
    photos: Photos,
) -> None:
    backend = start_backend(JOBS="2", **settings)
    backend.enrol(KNOWN, [photos(KNOWN, 0)])
    backend.settled()
    other_service.server.wait_until_ready()
    front = start_backend(JOBS="0", DATABASE_URL=backend.database, **settings)
    backend.stop()  # so that both jobs begin together
    front.post("/api/models/change")
    backend.query("INSERT INTO jobs (kind, subject) VALUES ('reembed', 0)")
    front.stop()
    backend.start()
    backend.settled()
    found = backend.get("/api/models")
    assert found["next"] is None
    [[space, rows]] = backend.query(SPACES.format(TABLES[0]))
    current = "SELECT id FROM models WHERE state = 'current'"
    assert (backend.query(current), rows) == ([[space]], "1")
    backend.stop()
