"""Manifests: what is one, and how it is divided."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from face_service.errors import FaceServiceError
from face_service.offline.manifest import (
    Item,
    absolute,
    folder_of,
    part_of,
    parts_of,
    read_manifest,
    shard_of,
)
from face_service.offline.output import Folder
from face_service.offline.results import Results
from tests.offline.faces import failed, photo, write
from tests.samples import samples


def test_parquet_and_csv_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("id,uri,start_s\n7,a.jpg,\n8,s3://bucket/b.mp4,1.5\n")
    table = {"uri": ["a.jpg", "s3://bucket/b.mp4"], "id": [7, 8], "start_s": [None, 1.5]}
    pq.write_table(pa.table(table), tmp_path / "m.parquet")
    expected = [Item(7, "a.jpg"), Item(8, "s3://bucket/b.mp4", 1.5)]
    assert read_manifest(str(tmp_path / "m.csv")) == expected
    assert read_manifest(str(tmp_path / "m.parquet")) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("uri\na.jpg\n", "no column id; it has uri"),
        ("id,path\n1,a.jpg\n", "no column uri; it has id, path"),
        ("id;uri\n1;a.jpg\n", "no column id and no column uri; it has id;uri"),
        ("id,uri\n1,a.jpg\n1,b.jpg\n", "the id 1 is there more than once"),
        ("id,uri\none,a.jpg\n", "column id"),
        ("id,uri\n,a.jpg\n2,b.jpg\n", "id is empty in 1 rows"),
        ("id,uri,start_s\n1,a.mp4,soon\n", "column start_s"),
        ("id,uri,id\n1,a.jpg,2\n", "two columns id"),
        ("id,uri\n7,a.jpg\n8, \n", "id 8 has an empty uri"),
        ("id,uri,start_s\n7,a.mp4,-1\n", "id 7 has start_s that is no time"),
        ("id,uri,end_s\n7,a.mp4,inf\n", "id 7 has end_s that is no time"),
        ("id,uri,start_s,end_s\n7,a.mp4,2,2\n", "id 7 ends before it starts"),
        ("", "is no manifest"),
    ],
)
def test_what_is_no_manifest_is_told(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(FaceServiceError, match=said):
        read_manifest(str(path))


@pytest.mark.parametrize(
    "path", ["absent.csv", "absent.parquet", "odd://x/m.csv", "locked://m.csv"]
)
def test_what_cannot_be_read_is_told(path: str, locked: None) -> None:
    with pytest.raises(FaceServiceError, match="is no manifest"):
        read_manifest(path)


def test_names_of_digits_are_text_and_parquet_is_told_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("\ufeffid,uri\n1,0042\n")
    assert read_manifest(str(tmp_path / "m.csv")) == [Item(1, "0042")]
    pq.write_table(pa.table({"id": [1], "uri": ["a.jpg"]}), tmp_path / "m.pq")
    assert read_manifest(str(tmp_path / "m.pq")) == [Item(1, "a.jpg")]


def test_what_else_a_table_has_is_left_alone(tmp_path: Path) -> None:
    """Blank lines, other columns of the same name, and numpy's numbers that are none."""
    text = "note,id,uri,note\n\n1,7,a.jpg,x\n\n,8,b.jpg,\n"
    (tmp_path / "m.csv").write_text(text)
    nothing = np.full(2, np.nan)
    table = {"id": [7, 8], "uri": ["a.jpg", "b.jpg"], "start_s": nothing, "end_s": nothing}
    pq.write_table(pa.table(table), tmp_path / "m.parquet")
    for name in ("m.csv", "m.parquet"):
        assert read_manifest(str(tmp_path / name)) == [Item(7, "a.jpg"), Item(8, "b.jpg")]


@pytest.mark.parametrize(
    ("item", "video"),
    [
        (Item(1, "a.jpg"), False),
        (Item(1, "https://x/a.MP4?signature=1"), True),
        (Item(1, "a", start_s=0.0), True),
        (Item(1, "mp4"), False),
    ],
)
def test_videos_are_told_by_suffix_or_times(item: Item, video: bool) -> None:
    assert item.is_video is video


@pytest.mark.parametrize("shards", [1, 3, 7, 20])
def test_shards_are_every_part_once(shards: int) -> None:
    parts = parts_of([Item(n, f"{n}.jpg") for n in range(50)], 4, {})
    divided = [part for shard in range(shards) for part in shard_of(parts, shard, shards)]
    assert divided == parts
    sizes = {len(shard_of(parts, shard, shards)) for shard in range(shards)}
    assert max(sizes) - min(sizes) <= 1


def test_names_are_by_content() -> None:
    items = [Item(n, f"{n}.jpg") for n in range(8)]
    first, second = parts_of(items, 4, {"model": "a"})
    again = parts_of([*items[:7], Item(7, "other.jpg")], 4, {"model": "a"})
    assert again[0].name == first.name
    assert again[1].name != second.name
    assert parts_of(items, 4, {"model": "b"})[0].name != first.name


def test_more_than_a_million_parts_are_parts_too(tmp_path: Path) -> None:
    folder, part = Folder(str(tmp_path)), part_of(1_000_000, (Item(1, "a.jpg"),), {})
    folder.write(part, pa.table({"id": [1]}))
    assert folder.parts() == {part.name}


def test_a_folder_elsewhere_is_a_folder_too() -> None:
    """memory:// has what an object store has: whole files, no folders."""
    folder = Folder("memory://faces/v1")
    (part,) = parts_of([Item(1, "a.jpg")], 4, {})
    folder.agree({"model": "a"})
    folder.agree({"model": "a"})
    assert folder.missing([part], [part]) == [part]
    folder.write(part, pa.table({"id": [1]}))
    assert folder.missing([part], [part]) == []
    assert folder.read(part.name).to_pylist() == [{"id": 1}]
    with pytest.raises(FaceServiceError, match="another model: a there, b here"):
        folder.agree({"model": "b"})
    with pytest.raises(FaceServiceError, match="Protocol not known: odd"):
        Folder("odd://x/y")


def test_a_store_that_lets_nobody_in_is_told(locked: None) -> None:
    """Its package has errors of its own, as S3's has for credentials that are missing."""
    folder = Folder("locked://faces")
    with pytest.raises(
        FaceServiceError, match="--out locked://faces: Unable to locate credentials"
    ):
        folder.agree({"model": "a"})
    with pytest.raises(FaceServiceError, match="Unable to locate credentials"):
        Results("locked://faces")


def test_of_another_model_it_is_told_what_differs(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    folder.agree({"model": {"pack": "a", "precision": "fp32"}, "options": {}})
    with pytest.raises(FaceServiceError, match="another model: pack a there, b here"):
        folder.agree({"model": {"pack": "b", "precision": "fp32"}, "options": {}})


def test_a_disk_that_is_full_leaves_no_half_of_a_part(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    folder.agree({"model": "a"})
    (part,) = parts_of([Item(1, "a.jpg")], 4, {})
    random = pa.table({"id": np.random.default_rng(1).integers(0, 1 << 60, 20_000)})
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    was = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(FaceServiceError, match="File too large"):
            folder.write(part, random)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        signal.signal(signal.SIGXFSZ, was)
    assert [path.name for path in tmp_path.iterdir()] == ["_embed.json"]
    folder.write(part, random)
    assert folder.parts() == {part.name}


def test_looking_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FaceServiceError, match="has no parts"):
        Results(str(tmp_path / "faces"))
    assert not (tmp_path / "faces").exists()


def test_a_part_that_is_broken_is_named(tmp_path: Path) -> None:
    write(tmp_path / "faces", [photo(Item(1, "a.jpg"), [])])
    (path,) = (tmp_path / "faces").glob("part-*")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FaceServiceError, match=path.name):
        Results(str(tmp_path / "faces"))


def test_what_failed_becomes_a_manifest_as_the_page_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sample,) = (each for each in samples("python") if each.page == "docs/offline.md")
    outcomes = [photo(Item(1, "/a.jpg"), []), failed(Item(2, "/b.jpg"), "crashed")]
    write(tmp_path / "faces", outcomes)
    monkeypatch.chdir(tmp_path)
    exec(sample.code, {})
    assert read_manifest("again.parquet") == [Item(2, "/b.jpg")]


@pytest.mark.parametrize(
    ("manifest", "uri", "where"),
    [
        ("m.csv", "a.jpg", "{here}/a.jpg"),
        ("below/m.csv", "b/a.jpg", "{here}/below/b/a.jpg"),
        ("/data/m.csv", "a.jpg", "/data/a.jpg"),
        ("/data/m.csv", "/photos/a.jpg", "/photos/a.jpg"),
        ("/data/m.csv", "https://x/a.jpg", "https://x/a.jpg"),
        ("s3://bucket/in/m.csv", "a.jpg", "s3://bucket/in/a.jpg"),
    ],
)
def test_paths_are_relative_to_the_manifest(manifest: str, uri: str, where: str) -> None:
    assert absolute(uri, folder_of(manifest)) == where.format(here=Path.cwd())
