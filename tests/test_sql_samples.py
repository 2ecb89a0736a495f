"""The SQL of the documentation, on a real PostgreSQL with pgvector."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.postgres import Postgres
from tests.samples import ROOT, samples
from tests.server import Server

MIGRATION = ROOT / "platform" / "migrations" / "001.do.sql"
STRANGERS = 1500
"""Rows of nobody: enough for PostgreSQL to prefer the index by itself."""
STATEMENT = re.compile(r"(?:[^;$]|\$\d|\$\$.*?\$\$)+;", re.DOTALL)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that has pgvector."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        server = Postgres(Path(folder))
        yield server
        server.stop()


def statements(sql: str) -> list[str]:
    """The statements of a script, without comments, in one line each."""
    return [" ".join(found.split()) for found in STATEMENT.findall(re.sub(r"--.*", "", sql))]


def test_sql(postgres: Postgres, server: Server, four_faces: Path) -> None:
    """The schema is made, of which the page shows parts; the faces of a photo are stored, and each
    is found on another copy of it among strangers."""
    schema = statements(MIGRATION.read_text())
    shown = [each for sample in samples("sql") for each in statements(sample.code)]
    others = [each for each in shown if each not in schema]
    search, exact, vacuum = others
    assert len(shown) - len(others) == 5 and vacuum.startswith("VACUUM")
    postgres.rows(MIGRATION.read_text())
    postgres.rows(f"""
        INSERT INTO models (pack, recogniser, precision, alignment, state)
        VALUES ('a', 'b', 'c', 'd', 'current');
        SELECT create_space(1);
        INSERT INTO creators (name) SELECT 'stranger ' || n FROM generate_series(1, {STRANGERS}) n;
        INSERT INTO creator_references (creator_id, picture, quality)
        SELECT id, '', 1 FROM creators ORDER BY id;
        INSERT INTO creator_face_embeddings
        SELECT 1, n, n, (SELECT l2_normalize(array_agg(random() - 0.5)::halfvec)
          FROM generate_series(1, 512) WHERE n > 0) FROM generate_series(1, {STRANGERS}) n""")
    photo = cv2.imread(str(four_faces))
    known, seen = (detect(server, cv2.resize(photo, None, fx=size, fy=size)) for size in (1, 0.8))
    postgres.rows("".join(insert(n, face) for n, face in enumerate(known["faces"])))
    postgres.rows(vacuum)
    for face in seen["faces"]:
        ask = f"PREPARE search AS {search} EXECUTE search(1, '{face['embedding']}')"
        [[found, name, similarity], _second] = postgres.rows(ask)
        assert name == str(whose(face, known["faces"], scale=0.8))
        assert 0.6 < float(similarity) <= 1 + 1e-6
        ask = f"PREPARE search AS {exact} EXECUTE search(1, '{face['embedding']}')"
        [[creator, same], _second] = postgres.rows(ask)
        assert (creator, float(same)) == (found, pytest.approx(float(similarity)))


def detect(server: Server, image: Any) -> Any:
    data = cv2.imencode(".jpg", image)[1].tobytes()
    return server.client.post("/detect", files={"file": data}).json()


def insert(number: int, face: Any) -> str:
    return (
        f"WITH who AS (INSERT INTO creators (name) VALUES ('{number}') RETURNING id), "
        "reference AS (INSERT INTO creator_references (creator_id, picture, quality) "
        "SELECT id, '', 1 FROM who RETURNING id, creator_id) "
        "INSERT INTO creator_face_embeddings "
        f"SELECT 1, id, creator_id, '{face['embedding']}' FROM reference;"
    )


def whose(face: Any, known: list[Any], scale: float) -> int:
    """The place of the known face where this one is in the smaller copy of the photo."""
    distances = [np.abs(np.array(face["bbox"]) / scale - one["bbox"]).max() for one in known]
    return int(np.argmin(distances))
