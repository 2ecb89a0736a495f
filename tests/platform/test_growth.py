"""What a video costs the database does not grow with the videos that are there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .backend import Backend, tags
from .clips import Scene, write_clip
from .conftest import Photos

KNOWN = "Charlton_Heston"
UNKNOWN = ("Ana_Guevara", "Christine_Todd_Whitman")
FEW, MANY = 100, 500
"""Videos. Of few, too, there are more people than are looked at as the nearest: 200."""
GROWTH = 1.3
"""Of the rows that are read, from few to many; five times as much where all were looked at."""


@pytest.fixture(scope="module")
def clip(photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody known beside somebody unknown, then another unknown person."""
    scenes = [
        Scene(2, (photos(KNOWN, 2), photos(UNKNOWN[0], 2)), travel=20),
        Scene(2, (photos(UNKNOWN[1], 2),), travel=20),
    ]
    return write_clip(tmp_path_factory.mktemp("clip"), scenes)


def copy(backend: Backend, video: int, first: int, last: int) -> None:
    """As if a video had been seen so often, its faces a little different each time."""
    among = f"generate_series({first}, {last}) n"
    noise = "(SELECT array_agg((random() - 0.5) / 50) FROM generate_series(1, 512 + 0 * n))"
    other = f"l2_normalize(e.embedding + {noise}::vector::halfvec)"
    moved = "+ 1000 * n"
    backend.query(f"""
        INSERT INTO videos (id, name, file, bytes, frames, done_at) OVERRIDING SYSTEM VALUE
        SELECT id {moved}, name, file || n, bytes, frames, done_at FROM videos, {among}
        WHERE id = {video};
        INSERT INTO appearances OVERRIDING SYSTEM VALUE
        SELECT id {moved}, video_id {moved}, group_id, usable FROM appearances, {among}
        WHERE video_id = {video};
        INSERT INTO video_tracks OVERRIDING SYSTEM VALUE
        SELECT t.id {moved}, a.id {moved}, first_ms, last_ms
        FROM video_tracks t JOIN appearances a ON a.id = appearance_id, {among}
        WHERE a.video_id = {video};
        INSERT INTO video_face_detections
        SELECT id {moved}, video_id {moved}, frame_ms, bbox, det_score, quality, usable, picture,
          track_id {moved} FROM video_face_detections, {among} WHERE video_id = {video};
        INSERT INTO video_face_embeddings
        SELECT model_id, detection_id {moved}, {other}
        FROM video_face_embeddings e JOIN video_face_detections d ON d.id = detection_id, {among}
        WHERE d.video_id = {video};
        INSERT INTO appearance_embeddings
        SELECT model_id, appearance_id {moved}, {other}
        FROM appearance_embeddings e JOIN appearances a ON a.id = appearance_id, {among}
        WHERE a.video_id = {video};
        INSERT INTO video_tags
          (appearance_id, creator_id, state, model_id, similarity, threshold)
        SELECT appearance_id {moved}, creator_id, state, model_id, similarity, threshold
        FROM video_tags JOIN appearances a ON a.id = appearance_id, {among}
        WHERE a.video_id = {video};
        SELECT setval(pg_get_serial_sequence(name, 'id'), {(last + 1) * 1000})
        FROM unnest(ARRAY['videos', 'appearances', 'video_tracks', 'video_face_detections']) name;
        ANALYZE""")


def rows_read(backend: Backend) -> dict[str, int]:
    """By table. A connection says what it has read when it ends."""
    backend.stop()
    found = backend.query("""
        SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables""")
    backend.start()
    return {table: int(rows) for table, rows in found}


def test_a_video_reads_as_many_rows_beside_many_as_beside_few(
    start_backend: Callable[..., Backend], photos: Photos, clip: Path
) -> None:
    backend = start_backend()
    backend.enrol(KNOWN, [photos(KNOWN, 0), photos(KNOWN, 1)])
    backend.settled()
    backend.analysed(backend.upload(clip))
    video = backend.upload(clip)  # the second of its like: its unknown are in a group with others
    assert tags(backend.analysed(video)) == {KNOWN: "automatic"}

    read: list[dict[str, int]] = []
    for first, last in ((1, FEW), (FEW + 1, MANY)):
        copy(backend, video, first, last)
        before = rows_read(backend)
        another = backend.upload(clip)
        assert tags(backend.analysed(another)) == {KNOWN: "automatic"}
        backend.settled()
        after = rows_read(backend)
        read.append({table: after[table] - before[table] for table in after})
        assert len(backend.get("/api/groups?limit=20")) == len(UNKNOWN)
        backend.delete(f"/api/videos/{another}")
        backend.settled()
    few, many = (sum(rows.values()) for rows in read)
    print(f"{few} rows beside {FEW} videos, {many} beside {MANY}")
    assert many < few * GROWTH, read
