"""What `face-service load` does: the results of `embed` into the tables of the platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import psycopg
from psycopg import sql
from tqdm import tqdm

from face_service.errors import FaceServiceError
from face_service.offline import INTERRUPTED
from face_service.offline.results import Results
from face_service.offline.schema import MODEL_NAMES

DIMENSION = 512
"""Numbers of an embedding in the platform's columns (`halfvec(512)`, platform/migrations)."""

LEDGER = """
CREATE TABLE IF NOT EXISTS library_items (
  id        bigint NOT NULL,
  model_id  integer NOT NULL REFERENCES models,
  video_id  integer REFERENCES videos ON DELETE SET NULL,
  error     text,
  uri       text,
  PRIMARY KEY (id, model_id)
);
ALTER TABLE library_items ADD COLUMN IF NOT EXISTS uri text"""
"""Makes the table of items that are loaded, also those without a face and those that failed: a
second load leaves them out."""
STAGING = """
CREATE TEMPORARY TABLE staged_faces (
  id           integer NOT NULL DEFAULT nextval('video_face_detections_id_seq'),
  item_id      bigint NOT NULL,
  frame_ms     integer NOT NULL,
  bbox         real[4] NOT NULL,
  det_score    real NOT NULL,
  quality      real NOT NULL,
  usable       boolean NOT NULL,
  embedding    halfvec(512) NOT NULL
)"""
CLAIM = """
INSERT INTO library_items (id, model_id, error, uri) VALUES (%s, %s, %s, %s)
ON CONFLICT (id, model_id) DO NOTHING"""
VIDEO = """
WITH video AS (
  INSERT INTO videos (name, file, bytes, duration_ms, analysed_ms, frames)
  VALUES (%(name)s, %(file)s, 0, %(last_ms)s, %(last_ms)s, %(frames)s) RETURNING id
), listed AS (
  UPDATE library_items SET video_id = (SELECT id FROM video)
  WHERE id = %(item)s AND model_id = %(model)s
), detections AS (
  INSERT INTO video_face_detections (id, video_id, frame_ms, bbox, det_score, quality, usable)
  SELECT s.id, v.id, s.frame_ms, s.bbox, s.det_score, s.quality, s.usable
  FROM staged_faces s, video v WHERE s.item_id = %(item)s
)
SELECT id FROM video"""
EMBEDDINGS = """
INSERT INTO video_face_embeddings (model_id, detection_id, embedding)
SELECT %s, id, embedding FROM staged_faces WHERE item_id = %s"""
COPY = """
COPY staged_faces (item_id, frame_ms, bbox, det_score, quality, usable, embedding) FROM STDIN"""
COLUMNS = ["id", "uri", "frames", "error"]
NO_PLATFORM = "The database has no tables of the platform, which makes them when it starts"


@dataclass(slots=True)
class Loaded:
    """What became of the items: how many are loaded, were there before, and were refused by the
    database. faces: those of the loaded items that have an embedding."""

    items: int = 0
    faces: int = 0
    before: int = 0
    refused: int = 0

    def __str__(self) -> str:
        text = f"{self.items:,} items, {self.faces:,} faces; {self.before:,} before"
        return text + (f"; {self.refused:,} refused by the database" if self.refused else "")


def load(path: str, address: str, index: bool, say: Callable[[str], object]) -> int:
    """Load a folder that `embed` has written into the database at `address`, a URL of PostgreSQL.

    index: make the index of faces afterwards. say: called with a line for each item that the
    database refuses, and with the totals. Returns the exit status: 0, 1 where an item was refused,
    INTERRUPTED after Ctrl-C.

    Raises FaceServiceError where the folder cannot be read, has embeddings of another length or of
    another model than the platform's, and for errors of the database.
    """
    results, loaded = Results(path), Loaded()
    if results.model["dimension"] != DIMENSION:
        raise FaceServiceError(
            f"{path} has embeddings of {results.model['dimension']} numbers, the platform of 512"
        )
    try:
        with psycopg.connect(address, autocommit=True) as connection:
            model = model_of(connection, results.model)
            connection.execute(STAGING)
            for table in tqdm(results.tables(COLUMNS), total=len(results.names), disable=None):
                load_part(connection, model, table.to_pylist(), loaded, say)
            if index:
                make_index(connection, model)
    except psycopg.errors.UndefinedTable as error:
        raise FaceServiceError(f"{NO_PLATFORM}: {error}") from error
    except psycopg.Error as error:
        raise FaceServiceError(f"The database: {error}{so_far(loaded)}") from error
    except KeyboardInterrupt:
        say(f"Interrupted{so_far(loaded)}")
        return INTERRUPTED
    say(str(loaded))
    return int(loaded.refused > 0)


def so_far(loaded: Loaded) -> str:
    """The end of a message about a load that was broken off: what is loaded so far."""
    return f". The same command goes on; so far: {loaded}"


def model_of(connection: Any, model: dict[str, Any]) -> int:
    """The id of the platform's current model. Where it has none yet, the model of these results is
    entered as the current one. Makes the table of LEDGER.

    model: the results' pack, recogniser, precision and alignment. Raises FaceServiceError if the
    current one differs in recogniser, precision or alignment.
    """
    wanted = tuple(model[name] for name in MODEL_NAMES)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(2007319)")  # the platform's, for models
        connection.execute(LEDGER)
        current = connection.execute(
            "SELECT id, pack, recogniser, precision, alignment FROM models WHERE state = 'current'"
        ).fetchone()
        if current is None:
            (number,) = connection.execute(
                "INSERT INTO models (pack, recogniser, precision, alignment, state) "
                "VALUES (%s, %s, %s, %s, 'current') RETURNING id",
                wanted,
            ).fetchone()
            connection.execute("SELECT create_space(%s)", (number,))
            return int(number)
    number, _, *space = current
    if space != list(wanted[1:]):
        raise FaceServiceError(
            f"The platform's model is {current[1]} in {current[3]}, {current[4]}, this is "
            f"{wanted[0]} in {wanted[2]}, {wanted[3]}: embeddings of two models must not mix"
        )
    return int(number)


def load_part(
    connection: Any,
    model: int,
    rows: list[dict[str, Any]],
    loaded: Loaded,
    say: Callable[[str], object],
) -> None:
    """Load the rows of a part that are not loaded yet: their faces by COPY into `staged_faces`,
    then a transaction for each item. Counts them in `loaded`, and calls `say` for each item that
    the database refuses. Raises psycopg.Error for any other fault."""
    ids = [row["id"] for row in rows]
    there = {
        number
        for (number,) in connection.execute(
            "SELECT id FROM library_items WHERE model_id = %s AND id = ANY(%s)", (model, ids)
        )
    }
    loaded.before += len(there)
    rows = [row for row in rows if row["id"] not in there]
    connection.execute("TRUNCATE staged_faces")
    refused = stage(connection, rows)
    for row in rows:
        try:
            if row["id"] in refused:
                raise psycopg.DataError(refused[row["id"]])
            count(load_item(connection, model, row), row, loaded)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            loaded.refused += 1
            say(f"{row['uri']} (id {row['id']}): {str(error).splitlines()[0]}")


def stage(connection: Any, rows: list[dict[str, Any]]) -> dict[int, str]:
    """COPY the faces of rows into `staged_faces`: all at once, and if the database refuses that,
    row by row. Returns its message for each row that it refuses, by the row's id."""
    try:
        with connection.cursor().copy(COPY) as copy:
            for row in rows:
                for face in faces_of_row(row):
                    copy.write_row(face)
        return {}
    except psycopg.DataError as error:
        if len(rows) == 1:
            return {rows[0]["id"]: str(error)}
    return {number: said for row in rows for number, said in stage(connection, [row]).items()}


def faces_of_row(row: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The faces of an item that have an embedding, as rows of staged_faces."""
    for frame in row["frames"]:
        for face in frame["faces"]:
            if face["embedding"] is not None:
                yield (
                    row["id"],
                    frame["time_ms"] or 0,
                    face["bbox"],
                    face["score"],
                    face["quality"],
                    face["usable"],
                    str(face["embedding"]),
                )


def load_item(connection: Any, model: int, row: dict[str, Any]) -> bool:
    """Load an item with all its staged faces, or nothing of it. Returns False, and does nothing,
    where it is loaded already. Raises psycopg.Error."""
    with connection.transaction():
        error = row["error"] and row["error"]["code"]
        if not connection.execute(CLAIM, (row["id"], model, error, row["uri"])).rowcount:
            return False
        if not error:
            connection.execute(
                VIDEO,
                {
                    "item": row["id"],
                    "model": model,
                    "name": PurePosixPath(row["uri"]).name,
                    # No name of an uploaded file: the platform deletes those with their videos.
                    "file": f"library-{row['id']}",
                    "last_ms": max((frame["time_ms"] or 0 for frame in row["frames"]), default=0),
                    "frames": len(row["frames"]),
                },
            )
            connection.execute(EMBEDDINGS, (model, row["id"]))
    return True


def count(new: bool, row: dict[str, Any], loaded: Loaded) -> None:
    """Count an item in `loaded`. new: what `load_item` returned."""
    loaded.items += new
    loaded.before += not new
    faces = (face for frame in row["frames"] for face in frame["faces"])
    loaded.faces += new * sum(face["embedding"] is not None for face in faces)


def make_index(connection: Any, model: int) -> None:
    """Make the HNSW index of all faces of a model, unless there is one. Made once all faces are
    there, it takes a fraction of the time that it takes face by face."""
    names = [sql.Identifier(f"video_face_embeddings_{model}{end}") for end in ("_hnsw", "")]
    connection.execute(
        sql.SQL(
            "CREATE INDEX IF NOT EXISTS {} ON {} USING hnsw (embedding halfvec_cosine_ops)"
        ).format(*names)
    )
