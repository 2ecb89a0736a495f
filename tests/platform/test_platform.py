"""From a video to a name: a story told to one backend, in turn."""

from __future__ import annotations

from pathlib import Path

import pytest

from .backend import Backend, tags
from .clips import BT709, HDR, INTERLACED, Encoding, Scene, needs_x265, rotated, write_clip
from .conftest import Photos

PEOPLE = ("Charlton_Heston", "Ana_Guevara", "Christine_Todd_Whitman")
"""Photos 0 and 1 enrol the first two, 2 and 3 are seen in clips; the third is unknown at first."""


@pytest.fixture(scope="module")
def creators(backend: Backend, photos: Photos) -> dict[str, int]:
    """Two of them are enrolled."""
    made = {name: backend.enrol(name, [photos(name, 0), photos(name, 1)]) for name in PEOPLE[:2]}
    backend.settled()
    return made


@pytest.fixture(scope="module")
def video(
    backend: Backend,
    photos: Photos,
    creators: dict[str, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> int:
    """Two at once, an empty wall, then the one who is not enrolled."""
    known, other, unknown = PEOPLE
    scenes = [
        Scene(3, (photos(known, 2), photos(other, 2)), travel=20),
        Scene(2),
        Scene(2, (photos(unknown, 0),)),
    ]
    return backend.upload(write_clip(tmp_path_factory.mktemp("clip"), scenes))


def test_photos_become_references(backend: Backend, creators: dict[str, int]) -> None:
    for creator in creators.values():
        found = backend.get(f"/api/creators/{creator}")
        assert [photo["state"] for photo in found["photos"]] == ["enrolled", "enrolled"]
        for reference in found["references"]:
            picture = backend.http.get(f"/api/references/{reference['id']}/picture")
            assert picture.headers["content-type"] == "image/jpeg"
            assert picture.content.startswith(b"\xff\xd8")
    assert not list(backend.uploads.iterdir()), "photos are kept beyond their use"


def test_the_known_are_tagged_and_say_why(backend: Backend, video: int) -> None:
    found = backend.analysed(video)
    assert tags(found) == {PEOPLE[0]: "automatic", PEOPLE[1]: "automatic"}
    assert found["frames"] == 7 and found["frames_skipped"] == 0
    for person in found["people"][:2]:
        [tag] = person["tags"]
        assert tag["similarity"] >= tag["threshold"] > tag["second"]["similarity"]
        assert (person["faces"], person["frames"]) == (3, 3)
        assert person["tracks"] == [{"first_ms": 0, "last_ms": 2000}]


@pytest.mark.parametrize(
    "encoding", [BT709, HDR, INTERLACED, None], ids=["bt709", "hdr", "interlaced", "rotated"]
)
def test_the_known_are_tagged_whatever_the_clip_is(
    backend: Backend,
    photos: Photos,
    creators: dict[str, int],
    ffmpeg: str,
    tmp_path: Path,
    encoding: Encoding | None,
) -> None:
    if encoding is HDR:
        needs_x265(ffmpeg)
    scene = [Scene(2, (photos(PEOPLE[1], 3),), travel=20)]
    clip = (
        write_clip(tmp_path, scene, encoding) if encoding else rotated(write_clip(tmp_path, scene))
    )
    video = backend.upload(clip)
    assert tags(backend.analysed(video)) == {PEOPLE[1]: "automatic"}
    backend.delete(f"/api/videos/{video}")


def test_the_unknown_is_a_group_with_faces(backend: Backend, video: int) -> None:
    backend.analysed(video)
    [group] = backend.get("/api/groups")
    assert group["faces"] == 2
    assert [seen["first_ms"] for seen in group["appearances"]] == [5000]
    picture = backend.http.get(f"/api/faces/{group['pictures'][0]}/picture")
    assert picture.content.startswith(b"\xff\xd8")


def test_a_name_is_learnt_and_found_in_the_next_video(
    backend: Backend, video: int, photos: Photos, tmp_path: Path
) -> None:
    backend.analysed(video)
    unknown = PEOPLE[2]
    [group] = backend.get("/api/groups")
    wrong = backend.post(f"/api/groups/{group['id']}/name", json={"name": "Somebody_Else"})["id"]
    assert backend.get(f"/api/creators/{wrong}")["references"]
    path = f"/api/appearances/{group['appearances'][0]['appearance_id']}/name"
    creator = backend.post(path, json={"name": unknown})["id"]
    assert backend.get(f"/api/creators/{wrong}")["references"] == [], (
        "still known by another's face"
    )
    assert backend.get("/api/groups") == []
    assert tags(backend.get(f"/api/videos/{video}"))[unknown] == "confirmed"
    learnt = backend.get(f"/api/creators/{creator}")["references"]
    assert learnt and all(reference["video_id"] == video for reference in learnt)

    clip = write_clip(tmp_path, [Scene(2, (photos(unknown, 1),))])
    assert unknown in tags(backend.analysed(backend.upload(clip)))


def test_what_is_rejected_stays_rejected(
    backend: Backend, video: int, creators: dict[str, int]
) -> None:
    backend.analysed(video)
    known = PEOPLE[0]
    path = f"/api/videos/{video}/tags/{creators[known]}"
    backend.put(path, {"state": "rejected"})
    backend.settled()
    assert tags(backend.get(f"/api/videos/{video}"))[known] == "rejected"
    backend.query("INSERT INTO jobs (kind, subject) VALUES ('decide', 0)")
    backend.settled()
    assert tags(backend.get(f"/api/videos/{video}"))[known] == "rejected"

    backend.put(path, {"state": "confirmed"})
    backend.settled()
    assert tags(backend.get(f"/api/videos/{video}"))[known] == "confirmed"
    references = backend.get(f"/api/creators/{creators[known]}")["references"]
    assert any(reference["video_id"] == video for reference in references), "nothing was learnt"


def test_a_deleted_person_leaves_nothing(
    backend: Backend, video: int, creators: dict[str, int]
) -> None:
    backend.analysed(video)
    known = PEOPLE[0]
    before = {face["appearance_id"] for face in backend.get(f"/api/videos/{video}/faces")}
    [gone] = [
        person["appearance_id"]
        for person in backend.get(f"/api/videos/{video}")["people"]
        if any(tag["name"] == known for tag in person["tags"])
    ]
    rows = "SELECT (SELECT count(*) FROM {0}_embeddings), (SELECT count(*) FROM {1})"
    counts = rows.format("video_face", "video_face_detections")
    [[embeddings, detections]] = backend.query(counts)
    backend.delete(f"/api/creators/{creators[known]}")
    backend.settled()

    assert known not in tags(backend.get(f"/api/videos/{video}"))
    after = {face["appearance_id"] for face in backend.get(f"/api/videos/{video}/faces")}
    assert before - after == {gone}
    assert backend.query(counts) == [[str(int(embeddings) - 3), str(int(detections) - 3)]]
    for table in ("creator_references", "creator_face_embeddings", "photos", "video_tags"):
        left = f"SELECT count(*) FROM {table} WHERE creator_id = {creators[known]}"
        assert backend.query(left) == [["0"]], table
    # Vacuumed: the places of deleted rows are free, in the HNSW indexes too.
    tables = "creator_references|video_face_detections|_embeddings_"
    least = f"SELECT min(vacuum_count) FROM pg_stat_user_tables WHERE relname ~ '{tables}'"
    backend.until(lambda: int(backend.query(least)[0][0]) >= 1, 30)
    assert backend.http.get(f"/api/creators/{creators[known]}").status_code == 404


def test_nobody_is_twice_in_one_frame(backend: Backend, photos: Photos, tmp_path: Path) -> None:
    """Two photos of one person side by side: the nearer is tagged, the other only suggested."""
    name = "Condoleezza_Rice"
    creator = backend.enrol(name, [photos(name, 0)])
    backend.settled()
    clip = write_clip(tmp_path, [Scene(2, (photos(name, 0), photos(name, 1)))])
    video = backend.upload(clip)
    found = backend.analysed(video)
    states = {
        tag["similarity"]: tag["state"]
        for person in found["people"]
        for tag in person["tags"]
        if tag["name"] == name
    }
    assert [states[similarity] for similarity in sorted(states)] == ["suggested", "automatic"]
    unknown = [group for group in backend.get("/api/groups") if group["faces"] == 2]
    assert [seen["suggestion"]["name"] for each in unknown for seen in each["appearances"]] == [
        name
    ]

    backend.put(f"/api/videos/{video}/tags/{creator}", {"state": "confirmed"})
    backend.settled()
    states = [
        tag["state"] for one in backend.get(f"/api/videos/{video}")["people"] for tag in one["tags"]
    ]
    assert sorted(states) == ["confirmed", "suggested"]


def test_a_reason_names_nobody_else(backend: Backend, photos: Photos) -> None:
    """It stays where that person is forgotten."""
    other = PEOPLE[1]
    creator = backend.enrol("Bea", [photos("Condoleezza_Rice", 0), photos(other, 3)])
    backend.settled()
    [taken, refused] = backend.get(f"/api/creators/{creator}")["photos"]
    assert (taken["state"], refused["state"]) == ("enrolled", "refused")
    assert refused["reason"].startswith("Looks more like somebody else (0.")


def test_a_file_goes_where_its_backend_is_killed_before(backend: Backend) -> None:
    file = backend.uploads / "left"
    file.write_bytes(b"a face")
    backend.query("""
        INSERT INTO videos (name, file, bytes, done_at) VALUES ('a', 'left', 6, now());
        DELETE FROM videos WHERE file = 'left';
        INSERT INTO jobs (kind, subject) VALUES ('vacuum', 0)""")
    backend.settled()
    assert not file.exists()
    assert backend.query("SELECT count(*) FROM discarded_files") == [["0"]]


def test_of_a_track_three_faces_are_kept(backend: Backend, photos: Photos, tmp_path: Path) -> None:
    """Of the others only where and when they were."""
    clip = write_clip(tmp_path, [Scene(5, (photos("Condoleezza_Rice", 2),))])
    video = backend.upload(clip)
    backend.analysed(video)
    [kept] = backend.query(f"""
        SELECT count(*), count(d.picture), count(e.embedding),
          bool_and((d.picture IS NULL) = (e.embedding IS NULL)), count(DISTINCT d.track_id)
        FROM video_face_detections d LEFT JOIN video_face_embeddings e ON e.detection_id = d.id
        WHERE d.video_id = {video}""")
    assert kept == ["5", "3", "3", "t", "1"]
