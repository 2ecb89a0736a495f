"""Another model: all pictures are embedded again, and until then the old one answers."""

from __future__ import annotations

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
    service = FaceService(with_edgeface("det_500m"), tmp_path_factory.mktemp("other-service"))
    yield service
    service.stop()


@pytest.fixture(scope="module")
def backend(
    start_backend: Callable[..., Backend], face_service: FaceService, other_service: FaceService
) -> Backend:
    """One that knows both."""
    return start_backend(
        FACE_SERVICE_URL=f"{face_service.url},{other_service.url}",
        AUTOMATIC_SIMILARITY="0.4",
        SUGGESTED_SIMILARITY="0.3",
    )


def test_everything_moves_to_the_new_space(
    backend: Backend,
    face_service: FaceService,
    other_service: FaceService,
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

    other_service.server.wait_until_ready()
    change = backend.post("/api/models/change")
    assert change["recogniser"] != old["recogniser"]
    # The new service goes away in the middle: the old one answers, nothing is lost.
    other_service.kill()
    found = backend.get("/api/models")
    if found["next"]:
        assert found["current"]["recogniser"] == old["recogniser"]
        assert tags(backend.analysed(backend.upload(clip))) == {KNOWN: "automatic"}
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
