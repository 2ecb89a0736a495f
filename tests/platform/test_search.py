"""The search in the database: its index, and people as the answer."""

from __future__ import annotations

import pytest

from .backend import Backend

PEOPLE, ROWS = 300, 800
FACE = "(SELECT embedding FROM creator_face_embeddings WHERE model_id = {0} AND reference_id = {1})"


@pytest.fixture(scope="module")
def model(backend: Backend) -> str:
    """A space of 300 people: 1 has 481 references near each other, 2 has 21, the others one."""
    [[model, _]] = backend.query("""
        WITH made AS (
          INSERT INTO models (pack, recogniser, precision, alignment, state)
          VALUES ('a', 'b', 'c', 'd', 'current') RETURNING id
        ) SELECT id, create_space(id) FROM made""")
    # Of a fixed seed: by chance, the 481 of person 1 would be nearer to person 2 than all others.
    backend.query(f"""
        SELECT setseed(0.5);
        CREATE TABLE made AS
          SELECT n, CASE WHEN n > {PEOPLE + 20} THEN 1 WHEN n > {PEOPLE} THEN 2 ELSE n END AS who,
            l2_normalize(array_agg((random() - 0.5)::real)::vector(512)) AS v
          FROM generate_series(1, {ROWS}) n, generate_series(1, 512) GROUP BY n;
        INSERT INTO creators (name) SELECT 'person ' || n FROM generate_series(1, {PEOPLE}) n;
        INSERT INTO creator_references (creator_id, picture, quality)
        SELECT who, '', 1 FROM made ORDER BY n;
        INSERT INTO creator_face_embeddings
        SELECT {model}, m.n, m.who,
          l2_normalize(own.v + array_fill(0.3::real, ARRAY[512])::vector(512) * m.v)::halfvec
        FROM made m JOIN made own ON own.n = m.who;
        ANALYZE creator_face_embeddings""")
    return model


def search(model: str, reference: int, most: int) -> str:
    """The statement: the people nearest to a reference."""
    return (
        "SELECT creator_id, round(similarity::numeric, 3) "
        f"FROM nearest_creators({model}, {FACE.format(model, reference)}, {most})"
    )


def test_it_goes_through_the_index(backend: Backend, model: str) -> None:
    scans = f"""
        SELECT idx_scan FROM pg_stat_user_indexes
        WHERE relname = 'creator_face_embeddings_{model}' AND indexrelname ~ 'embedding_idx'"""
    [[before]] = backend.query(scans)
    # So few rows would be sorted instead, which is as well.
    backend.query(f"SET enable_sort = off; {search(model, 77, 5)}")
    backend.until(lambda: int(backend.query(scans)[0][0]) > int(before), 10)


def test_people_are_the_answer_and_not_rows(backend: Backend, model: str) -> None:
    """Person 2 has the nearest 21 rows, and is one of the five nearest people."""
    found = backend.query(search(model, 2, 5))
    assert found[0] == ["2", "1.000"]
    assert len({creator for creator, _ in found}) == 5


def test_the_deleted_take_nobodys_place(backend: Backend, model: str) -> None:
    """Dead rows stay in HNSW until VACUUM; the search goes on behind them."""
    face = FACE.format(model, 1)
    backend.query(f"CREATE TABLE asked AS SELECT {face} AS face")
    backend.query("DELETE FROM creators WHERE id = 1")
    nearest = f"nearest_creators({model}, (SELECT face FROM asked), 5)"
    found = backend.query(f"SET enable_sort = off; SELECT creator_id FROM {nearest}")
    assert len(found) == 5
