"""The search in the database: its index, and people as the answer."""

from __future__ import annotations

import pytest

from .backend import Backend

PEOPLE, ROWS = 300, 800
FACE = "(SELECT embedding FROM creator_face_embeddings WHERE model_id = {0} AND reference_id = {1})"


@pytest.fixture(scope="module")
def model(backend: Backend) -> str:
    """A space of 300 people: person 1 has 501 references near each other, the others one."""
    [[model, _]] = backend.query("""
        WITH made AS (
          INSERT INTO models (pack, recogniser, precision, state)
          VALUES ('a', 'b', 'c', 'current') RETURNING id
        ) SELECT id, create_space(id) FROM made""")
    backend.query(f"""
        INSERT INTO creators (name) SELECT 'person ' || n FROM generate_series(1, {PEOPLE}) n;
        INSERT INTO creator_references (creator_id, picture, quality)
        SELECT CASE WHEN n > {PEOPLE} THEN 1 ELSE n END, '', 1 FROM generate_series(1, {ROWS}) n;
        CREATE TEMP TABLE made AS
          SELECT n, l2_normalize(array_agg((random() - 0.5)::real)::vector(512)) AS v
          FROM generate_series(1, {ROWS}) n, generate_series(1, 512) GROUP BY n;
        INSERT INTO creator_face_embeddings
        SELECT {model}, n, CASE WHEN n > {PEOPLE} THEN 1 ELSE n END,
          (CASE WHEN n > {PEOPLE} THEN l2_normalize((SELECT v FROM made WHERE n = 1)
            + (array_fill(0.3::real, ARRAY[512])::vector(512) * v)) ELSE v END)::halfvec
        FROM made;
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
    """Around person 1 there are 501 rows of that person."""
    found = backend.query(search(model, 1, 1))
    assert found == [["1", "1.000"]]
    found = backend.query(search(model, 77, 5))
    assert found[0] == ["77", "1.000"]
    assert len({creator for creator, _ in found}) == 5


def test_the_deleted_take_nobodys_place(backend: Backend, model: str) -> None:
    """Dead rows stay in HNSW until VACUUM; the search goes on behind them."""
    face = FACE.format(model, 1)
    backend.query(f"CREATE TABLE asked AS SELECT {face} AS face")
    backend.query("DELETE FROM creators WHERE id = 1")
    nearest = f"nearest_creators({model}, (SELECT face FROM asked), 5)"
    found = backend.query(f"SET enable_sort = off; SELECT creator_id FROM {nearest}")
    assert len(found) == 5
