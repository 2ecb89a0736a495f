"""`face-service load`: into the platform's tables of a real PostgreSQL, each item once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from face_service.errors import FaceServiceError
from face_service.offline import database
from face_service.offline.database import load
from face_service.offline.manifest import Item
from face_service.offline.schema import Frame, Outcome
from tests import commands
from tests.conftest import ROOT, environment_of_servers
from tests.offline.faces import MODEL, face, failed, photo, unit, write
from tests.postgres import Postgres

TABLES = ("library_items", "videos", "video_face_detections", "video_face_embeddings")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        running = Postgres(Path(folder))
        yield running
        running.stop()


@pytest.fixture
def address(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    """A database with the platform's tables."""
    name = f"db{abs(hash(request.node.name))}"
    postgres.rows(f"CREATE DATABASE {name}")
    for migration in sorted((ROOT / "platform/migrations").glob("*.do.sql")):
        postgres.rows(migration.read_text(), name)
    return f"host={postgres.socket} user=postgres dbname={name}"


def counts(postgres: Postgres, address: str) -> dict[str, int]:
    name = address.rpartition("=")[2]
    found = {table: postgres.rows(f"SELECT count(*) FROM {table}", name) for table in TABLES}
    return {table: int(rows[0][0]) for table, rows in found.items()}


def library() -> list[Outcome]:
    """Two faces, nobody, a failure, a face without an embedding, and a video."""
    return [
        photo(Item(1, "a/one.jpg"), [face(unit(1)), face(unit(2))]),
        photo(Item(2, "two.jpg"), []),
        failed(Item(3, "three.jpg"), "invalid_image"),
        photo(Item(4, "four.jpg"), [face(None)]),
        Outcome(
            Item(5, "five.mp4"),
            [Frame(ms, 100, 100, [face(unit(5 + ms))]) for ms in (0, 1000, 2500)],
        ),
    ]


def test_every_item_is_there_once_with_its_faces(
    postgres: Postgres, address: str, tmp_path: Path
) -> None:
    folder, said = write(tmp_path / "faces", library()), list[str]()
    assert load(str(folder), address, False, said.append) == 0
    expected = dict(zip(TABLES, (5, 4, 5, 5), strict=True))
    assert counts(postgres, address) == expected
    assert said == ["5 items, 5 faces; 0 before"]
    assert load(str(folder), address, False, said.append) == 0
    assert said[1] == "0 items, 0 faces; 5 before"
    assert counts(postgres, address) == expected
    name = address.rpartition("=")[2]
    assert postgres.rows(
        "SELECT i.id, i.error, v.name, v.frames, v.analysed_ms FROM library_items i "
        "LEFT JOIN videos v ON v.id = i.video_id ORDER BY i.id", name
    ) == [
        ["1", "", "one.jpg", "1", "0"],
        ["2", "", "two.jpg", "1", "0"],
        ["3", "invalid_image", "", "", ""],
        ["4", "", "four.jpg", "1", "0"],
        ["5", "", "five.mp4", "3", "2500"],
    ]  # fmt: skip
    (nearest,) = postgres.rows(
        "SELECT v.name, d.frame_ms FROM video_face_embeddings e "
        "JOIN video_face_detections d ON d.id = e.detection_id JOIN videos v ON v.id = d.video_id "
        f"ORDER BY e.embedding <=> '{unit(1005).tolist()}' LIMIT 1",
        name,
    )
    assert nearest == ["five.mp4", "1000"]


def test_the_platform_deletes_no_file_of_a_library(
    postgres: Postgres, address: str, tmp_path: Path
) -> None:
    """It deletes `file` below its uploads, where a path such as ../photos would lead outside."""
    outcomes = [photo(Item(7, "../photos/one.jpg"), [face(unit(1))])]
    load(str(write(tmp_path / "faces", outcomes)), address, False, str)
    name = address.rpartition("=")[2]
    assert postgres.rows("SELECT file, name FROM videos", name) == [["library-7", "one.jpg"]]
    assert postgres.rows("SELECT uri FROM library_items", name) == [["../photos/one.jpg"]]


def test_two_at_once_load_each_item_once(postgres: Postgres, address: str, tmp_path: Path) -> None:
    outcomes = [photo(Item(n, f"{n}.jpg"), [face(unit(n))]) for n in range(40)]
    folder, said = write(tmp_path / "faces", outcomes), list[str]()
    load(str(write(tmp_path / "first", outcomes[:1])), address, False, str)
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(load, str(folder), address, False, said.append) for _ in range(2)]
        assert [each.result() for each in both] == [0, 0]
    assert set(counts(postgres, address).values()) == {40}


def test_of_an_item_that_is_cut_off_nothing_is_there(
    postgres: Postgres, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "faces", library())
    monkeypatch.setattr(database, "EMBEDDINGS", "SELECT 1 / 0, %s, %s")
    assert load(str(folder), address, False, str) == 1
    assert counts(postgres, address) == dict(zip(TABLES, (1, 0, 0, 0), strict=True)), "the failure"
    monkeypatch.undo()
    assert load(str(folder), address, False, str) == 0
    assert counts(postgres, address) == dict(zip(TABLES, (5, 4, 5, 5), strict=True))


def test_what_the_database_refuses_costs_itself(
    postgres: Postgres, address: str, tmp_path: Path
) -> None:
    outcomes = library()
    outcomes[0] = photo(Item(1, "one.jpg"), [face(2 * unit(1))])  # no unit vector
    outcomes[1] = photo(Item(2, "two.jpg"), [face(np.full(512, np.nan, np.float32))])
    folder, said = write(tmp_path / "faces", outcomes), list[str]()
    assert load(str(folder), address, False, said.append) == 1
    assert said[-1] == "3 items, 3 faces; 0 before; 2 refused by the database"
    assert ["(id 1)" in said[0], "(id 2)" in said[1]] == [True, True]
    assert counts(postgres, address)["library_items"] == 3


def test_the_index_comes_after_the_load(postgres: Postgres, address: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "faces", library())
    for _ in range(2):
        assert load(str(folder), address, True, str) == 0
    name = address.rpartition("=")[2]
    found = postgres.rows("SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%hnsw%'", name)
    assert sum("video_face_embeddings_1 " in line[0] for line in found) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [({"recogniser": "b" * 64}, "must not mix"), ({"precision": "bf16"}, "must not mix"),
     ({"dimension": 256}, "of 256 numbers")],
)  # fmt: skip
def test_another_model_is_refused(
    address: str, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    load(str(write(tmp_path / "faces", library())), address, False, str)
    nobody = [photo(Item(9, "nine.jpg"), [])]
    other = write(tmp_path / "other", nobody, model=MODEL | change)
    with pytest.raises(FaceServiceError, match=said):
        load(str(other), address, False, str)


def test_a_database_without_the_platform_is_told(postgres: Postgres, tmp_path: Path) -> None:
    folder = write(tmp_path / "faces", library())
    address = f"host={postgres.socket} user=postgres dbname=postgres"
    with pytest.raises(FaceServiceError, match="no tables of the platform"):
        load(str(folder), address, False, str)


def test_a_load_that_is_cut_off_says_so_and_goes_on(
    postgres: Postgres, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Ctrl-C, and by the database."""
    outcomes = [photo(Item(n, f"{n}.jpg"), [face(unit(n))]) for n in range(6)]
    folder, said = str(write(tmp_path / "faces", outcomes, rows=2)), list[str]()
    load_part = database.load_part
    ends: list[BaseException] = [KeyboardInterrupt(), psycopg.OperationalError("gone")]

    def cut_off(*given: Any) -> None:
        load_part(*given)
        raise ends.pop(0)

    monkeypatch.setattr(database, "load_part", cut_off)
    assert load(folder, address, False, said.append) == 130
    assert said == ["Interrupted. The same command goes on; so far: 2 items, 2 faces; 0 before"]
    with pytest.raises(FaceServiceError, match=r"gone\. The same command goes on; so far: 0 items"):
        load(folder, address, False, said.append)
    monkeypatch.undo()
    assert load(folder, address, False, said.append) == 0
    assert said[-1] == "4 items, 4 faces; 2 before"
    assert set(counts(postgres, address).values()) == {6}


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    environment = environment_of_servers()
    nowhere = ["load", tmp_path / "none", "--database", "host=127.0.0.1 port=1"]
    done = commands.run(nowhere, environment, tmp_path)
    assert done.returncode == 2
    assert "has no parts" in done.stderr
    write(tmp_path / "faces", library())
    done = commands.run([nowhere[0], tmp_path / "faces", *nowhere[2:]], environment, tmp_path)
    assert done.returncode == 2
    assert "The database:" in done.stderr
