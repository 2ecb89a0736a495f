"""The API as a stranger, a clumsy client and a generated one find it."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from .backend import Backend, T, psql


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
        (get("/api/creators?name=a%00b"), 400, "invalid_request"),
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


ODD = ("0", "-1", "1.5", "1e3", "seven", "%00", "%F0%9F%98%80", "%2e%2e%2fetc", "9" * 30)
BODIES = (None, [], "x", 1, {}, {"name": 1}, {"name": None}, {"name": "a\0"}, {"name": "x" * 201})


def test_nothing_that_is_sent_makes_a_route_fail(backend: Backend) -> None:
    """Odd ids and parameters, and bodies of every type, for all routes of the document."""
    asked = 0
    for path, methods in backend.get("/api/openapi.json")["paths"].items():
        for method, route in methods.items():
            if path == "/api/logout":
                continue
            names = [each["name"] for each in route.get("parameters", [])]
            urls = [
                re.sub(r"\{\w+\}", odd, path) + f"?{'&'.join(f'{name}={odd}' for name in names)}"
                for odd in ODD
            ]
            calls = [(url, {}) for url in urls if names]
            if method != "get":
                calls += [(re.sub(r"\{\w+\}", "1", path), body) for body in BODIES]
            for url, body in calls:
                answer = backend.http.request(method, url, json=body)
                found = answer.json() if answer.content else None
                assert answer.status_code in range(400, 500) or answer.is_success, f"{url} {found}"
                assert answer.is_success or set(found) == {"detail", "code", "request_id"}
                asked += 1
    assert asked > 100


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


UNTIL_SOMEBODY_WAITS = """
    DO $$ BEGIN
      FOR turn IN 1..600 LOOP
        EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted);
        PERFORM pg_sleep(0.05);
      END LOOP;
    END $$"""
"""Keeps a transaction open, for half a minute at most, until another waits for a row of it."""


def at_the_same_instant(backend: Backend, statement: str, then: Callable[[], T]) -> T:
    """What `then` comes to, which begins after a statement and waits for its transaction to end."""
    begun = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(psql, backend.database, f"{statement}; {UNTIL_SOMEBODY_WAITS}")
        backend.until(lambda: backend.query(begun))
        answer = then()
    assert first.result().returncode == 0, first.result().stderr
    return answer


def test_of_two_renames_at_the_same_instant_one_is_refused(backend: Backend) -> None:
    one, other = (
        backend.post("/api/creators", json={"name": name})["id"] for name in ("One", "Other")
    )
    answer = at_the_same_instant(
        backend,
        f"UPDATE creators SET name = 'Wanted' WHERE id = {one}",
        lambda: backend.http.patch(f"/api/creators/{other}", json={"name": "wanted"}),
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "exists")
    assert backend.get(f"/api/creators/{other}")["name"] == "Other"


def test_two_backends_that_start_at_the_same_instant_make_one_user(
    start_backend: Callable[..., Backend],
) -> None:
    backend = start_backend()
    backend.stop()
    backend.query("DELETE FROM users")
    at_the_same_instant(
        backend,
        "INSERT INTO users (name, password_hash) VALUES ('admin', 'of the other')",
        lambda: backend.start(PLATFORM_PASSWORD=""),
    )
    assert backend.query("SELECT name, password_hash FROM users") == [["admin", "of the other"]]


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
