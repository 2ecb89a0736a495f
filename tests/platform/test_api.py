"""The API as a stranger, a clumsy client and a generated one find it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from .backend import PASSWORD, Backend, psql

FORM = {"Content-Type": "multipart/form-data; boundary=x"}
OPEN = {("post", "/api/login"), ("get", "/api/health")}


def test_everything_but_login_and_health_wants_a_session(backend: Backend) -> None:
    document = backend.get("/api/openapi.json")
    assert document["paths"]
    with httpx.Client(base_url=backend.http.base_url, timeout=60) as stranger:
        for path, methods in document["paths"].items():
            for method in methods:
                if (method, path) in OPEN:
                    continue
                answer = stranger.request(method, re.sub(r"\{\w+\}", "1", path), json={})
                assert answer.status_code == 401, f"{method} {path}"
                assert answer.json()["code"] == "unauthorized"


def test_a_session_ends(backend: Backend) -> None:
    with httpx.Client(base_url=backend.http.base_url, timeout=60) as client:
        login = client.post("/api/login", json={"name": "admin", "password": PASSWORD})
        assert login.status_code == 200
        cookie = login.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite" in cookie
        assert client.get("/api/session").json() == {"name": "admin"}
        stolen = {"Cookie": f"session={client.cookies['session']}"}
        assert client.post("/api/logout").status_code == 204
        assert client.get("/api/session", headers=stolen).status_code == 401
        nul = client.post("/api/login", json={"name": "admin\0", "password": PASSWORD})
        assert (nul.status_code, nul.json()["code"]) == (400, "invalid_request")


def test_passwords_cannot_be_tried_for_long(backend: Backend) -> None:
    with httpx.Client(base_url=backend.http.base_url, timeout=60) as client:
        wrong = {"name": "admin", "password": "wrong"}
        statuses = [client.post("/api/login", json=wrong).status_code for _ in range(12)]
    assert statuses[0] == 401 and statuses[-1] == 429


def test_errors_have_one_shape(backend: Backend) -> None:
    post, get, put = backend.http.post, backend.http.get, backend.http.put
    for answer, status, code in (
        (get("/api/nothing"), 404, "not_found"),
        (get("/api/videos/7"), 404, "not_found"),
        (get("/api/videos/seven"), 400, "invalid_request"),
        (get("/api/videos/99999999999"), 400, "invalid_request"),
        (get("/api/videos?limit=0"), 400, "invalid_request"),
        (get("/api/videos?limit=501"), 400, "invalid_request"),
        (get("/api/videos?before=0"), 400, "invalid_request"),
        (put("/api/videos/1/tags/99999999999", json={}), 400, "invalid_request"),
        (post("/api/creators", json={"name": " "}), 400, "invalid_request"),
        (post("/api/creators", json={"name": "a\0b"}), 400, "invalid_request"),
        (post("/api/creators", json={"name": "\0"}), 400, "invalid_request"),
        (post("/api/creators", content=b"{"), 415, "invalid_request"),
        (post("/api/videos", json={}), 400, "invalid_request"),
        (post("/api/videos", files={"files": ("empty.mp4", b"")}), 400, "invalid_request"),
        (post("/api/groups/7/name", json={"name": "x"}), 503, "not_ready"),
        (post("/api/models/change"), 409, "no_other_model"),
    ):
        found = answer.json()
        assert (answer.status_code, found["code"]) == (status, code), found
        assert set(found) == {"detail", "code", "request_id"} and len(found["detail"]) > 5
    assert not any(backend.uploads.iterdir()), "a refused upload is kept"


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


def test_somebody_is_forgotten_while_a_photo_is_enrolled(backend: Backend) -> None:
    """The job holds its row and waits for the lock of decisions, which whoever forgets has."""
    creator = backend.post("/api/creators", json={"name": "Enrolled now"})["id"]
    [[job]] = backend.query(f"""
        WITH photo AS (
          INSERT INTO photos (creator_id, name, file) VALUES ({creator}, 'a', 'a') RETURNING id)
        INSERT INTO jobs (kind, subject, state, lease_until)
        SELECT 'enrol', id, 'running', now() + interval '1 hour' FROM photo RETURNING id""")
    enrolling = f"""
        SELECT id FROM jobs WHERE id = {job} FOR UPDATE;
        SELECT pg_sleep(2);
        SELECT pg_advisory_xact_lock(2007319)"""
    asleep = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    with ThreadPoolExecutor(1) as threads:
        enrolled = threads.submit(psql, backend.database, enrolling)
        backend.until(lambda: backend.query(asleep))
        backend.delete(f"/api/creators/{creator}")
    assert enrolled.result().returncode == 0, enrolled.result().stderr
    backend.query(f"DELETE FROM jobs WHERE id = {job}")


def test_a_name_is_given_once(backend: Backend) -> None:
    backend.post("/api/creators", json={"name": "Somebody"})
    again = backend.http.post("/api/creators", json={"name": "somebody "})
    assert (again.status_code, again.json()["code"]) == (409, "exists")
    other = backend.post("/api/creators", json={"name": "Somebody else"})["id"]
    path = f"/api/creators/{other}"
    assert backend.http.patch(path, json={"name": "SOMEBODY"}).status_code == 409
    assert backend.http.patch(path, json={"name": "somebody Else"}).status_code == 204
    assert backend.get(path)["name"] == "somebody Else"


VIDEOS = """
    INSERT INTO videos (name, file, bytes, done_at)
    SELECT n, 'none', 1, now() FROM generate_series(1, 60) n"""
CREATORS = "INSERT INTO creators (name) SELECT n FROM generate_series(1, 60) n"
GROUPS = """
    WITH video AS (
      INSERT INTO videos (name, file, bytes, done_at) VALUES ('one', 'none', 1, now())
      RETURNING id),
    made AS (INSERT INTO face_groups SELECT FROM generate_series(1, 60) RETURNING id),
    seen AS (
      INSERT INTO appearances (video_id, group_id, usable)
      SELECT video.id, made.id, true FROM video, made RETURNING id, group_id),
    tracks AS (
      INSERT INTO video_tracks (appearance_id, first_ms, last_ms)
      SELECT id, 0, 0 FROM seen RETURNING id, appearance_id)
    INSERT INTO video_face_detections
      (video_id, frame_ms, bbox, det_score, quality, usable, picture, track_id)
    SELECT video.id, 0, '{0,0,9,9}', 1, 1, true, '', tracks.id FROM video, tracks"""


@pytest.mark.parametrize(
    ("path", "make", "parameters"),
    [
        ("/api/videos", VIDEOS, {"limit", "before"}),
        ("/api/creators", CREATORS, {"limit", "before", "name"}),
        ("/api/groups", GROUPS, {"limit", "before"}),
    ],
)
def test_lists_come_in_pages(backend: Backend, path: str, make: str, parameters: set[str]) -> None:
    backend.query("DELETE FROM creators")
    backend.query(make)
    table = {"/api/groups": "face_groups"}.get(path, path.removeprefix("/api/"))
    newest = [int(row[0]) for row in backend.query(f"SELECT id FROM {table} ORDER BY id DESC")]
    assert len(newest) == 60

    def ids(**query: int) -> list[int]:
        return [each["id"] for each in backend.http.get(path, params=query).json()]

    assert ids() == newest[:50]
    assert ids(before=newest[49]) == newest[50:60]
    assert ids(limit=2, before=newest[0]) == newest[1:3]
    assert ids(limit=500) == newest
    assert ids(before=newest[-1]) == []
    for wrong in ("limit=0", "limit=501", "before=0"):
        answer = backend.http.get(f"{path}?{wrong}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    document = backend.get("/api/openapi.json")["paths"][path]["get"]
    assert {each["name"] for each in document["parameters"]} == parameters
    backend.query("DELETE FROM videos; DELETE FROM face_groups; DELETE FROM creators")


def test_creators_are_found_by_a_part_of_their_name(backend: Backend) -> None:
    for name in ("Ana Guevara", "Joanna Poitier", "100% Bea"):
        backend.post("/api/creators", json={"name": name})

    def found(part: str, **more: int) -> list[str]:
        query = {"name": part, **more}
        return [each["name"] for each in backend.http.get("/api/creators", params=query).json()]

    assert found("ANA") == ["Ana Guevara"]
    assert found("an") == ["Joanna Poitier", "Ana Guevara"]
    assert found("an", limit=1) == ["Joanna Poitier"]
    assert found("%") == ["100% Bea"], "it is no pattern"
    assert found("nobody") == []
    backend.query("DELETE FROM creators")


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


def test_the_database_itself_refuses_zero_vectors_and_rows_of_no_model(backend: Backend) -> None:
    [[creator]] = backend.query("INSERT INTO creators (name) VALUES ('Nobody') RETURNING id")
    [[reference]] = backend.query(
        "INSERT INTO creator_references (creator_id, picture, quality) "
        f"VALUES ({creator}, '', 1) RETURNING id"
    )
    [[model]] = backend.query("""
        INSERT INTO models (pack, recogniser, precision, alignment, state)
        VALUES ('a', 'b', 'c', 'd', 'retired') RETURNING id""")
    insert = "INSERT INTO creator_face_embeddings VALUES ({0}, {1}, {2}, '[{3}]')"
    unit, zero = ",".join(["1", *["0"] * 511]), ",".join(["0"] * 512)
    no_space = backend.refusal(insert.format(model, reference, creator, unit))
    assert "no partition" in no_space
    backend.query(f"SELECT create_space({model})")
    assert "check constraint" in backend.refusal(insert.format(model, reference, creator, zero))
    backend.query(insert.format(model, reference, creator, unit))
    [[nearest]] = backend.query(f"SELECT creator_id FROM nearest_creators({model}, '[{unit}]', 2)")
    assert nearest == creator


def test_what_a_killed_backend_left_is_swept_away(backend: Backend) -> None:
    video = backend.upload(Path(__file__))
    [kept] = backend.uploads.iterdir()
    old, young = backend.uploads / "old", backend.uploads / "young"
    for file in (old, young):
        file.write_text("a part of an upload")
    for file in (old, kept):
        os.utime(file, (0, 0))
    backend.stop()
    backend.start()
    assert {file.name for file in backend.uploads.iterdir()} == {kept.name, "young"}
    young.unlink()
    backend.delete(f"/api/videos/{video}")
