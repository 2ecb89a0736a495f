"""The manifest: a table of photos and videos, and its parts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from face_service.errors import FaceServiceError
from face_service.offline.reading import naming

COLUMNS = {"id": pa.int64(), "uri": pa.string(), "start_s": pa.float64(), "end_s": pa.float64()}
REQUIRED = ("id", "uri")
TIMES = (2, 3)
"""The columns with seconds, by their places."""
PARQUET = b"PAR1"
"""The first bytes of a Parquet file."""
MOST_NAMES = 8
"""Columns that an error message lists at most."""
VIDEOS = frozenset(
    {".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts"}
    | {".webm", ".wmv"}
)


@dataclass(frozen=True, slots=True)
class Item:
    """A row of the manifest: a photo, or a video between two times.

    id: the caller's, of 64 bits, unique in a manifest. uri: an address that fsspec knows, or a
    path, relative to the manifest's folder. start_s, end_s: seconds from 0 on; None: from the
    beginning, to the end.
    """

    id: int
    uri: str
    start_s: float | None = None
    end_s: float | None = None

    @property
    def is_video(self) -> bool:
        """Whether it has a time, or its path a suffix of VIDEOS."""
        timed = self.start_s is not None or self.end_s is not None
        return timed or PurePosixPath(urlsplit(self.uri).path).suffix.lower() in VIDEOS


@dataclass(frozen=True, slots=True)
class Part:
    """Items that go into one file. number: from 0. name: of the file, see `part_of`."""

    number: int
    name: str
    items: tuple[Item, ...]


def read_manifest(path: str) -> list[Item]:
    """The items of a Parquet or CSV file.

    Raises FaceServiceError where it cannot be read or breaks a rule: `id` is a unique int64, `uri`
    is text that is not blank, `start_s` and `end_s`, which may be empty or absent, are seconds from
    0 on, the first before the second.
    """
    table = read_table(path)
    if twice := [name for name in COLUMNS if table.column_names.count(name) > 1]:
        raise FaceServiceError(f"{path} has two columns {twice[0]}")
    if missing := [name for name in REQUIRED if name not in table.column_names]:
        there = ", ".join(table.column_names[:MOST_NAMES])
        raise FaceServiceError(
            f"{path} has no column {' and no column '.join(missing)}; it has {there}"
        )
    columns = []
    for name, kind in COLUMNS.items():
        column = table[name] if name in table.column_names else pa.nulls(len(table), kind)
        try:
            columns.append(column.cast(kind))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise FaceServiceError(f"{path}, column {name}: {error}") from error
        if name in REQUIRED and columns[-1].null_count:
            raise FaceServiceError(f"{path}: {name} is empty in {columns[-1].null_count} rows")
    refuse(columns, pc.equal(pc.utf8_trim_whitespace(columns[1]), ""), path, "has an empty uri")
    for place in TIMES:  # an empty cell may come as NaN
        columns[place] = pc.if_else(pc.is_nan(columns[place]), None, columns[place])
        odd = pc.invert(pc.and_(pc.is_finite(columns[place]), pc.greater_equal(columns[place], 0)))
        refuse(columns, odd, path, f"has {[*COLUMNS][place]} that is no time")
    refuse(columns, pc.less_equal(columns[3], columns[2]), path, "ends before it starts")
    ids, uris, starts, ends = (column.to_pylist() for column in columns)
    if len(set(ids)) < len(ids):
        twice = pc.value_counts(columns[0]).to_pylist()
        first = next(each["values"] for each in twice if each["counts"] > 1)
        raise FaceServiceError(f"{path}: the id {first} is there more than once")
    return [Item(*row) for row in zip(ids, uris, starts, ends, strict=True)]


def refuse(columns: Sequence[Any], where: Any, path: str, what: str) -> None:
    """Raise FaceServiceError about the first item of which `where` is true, if there is one."""
    if found := columns[0].filter(where).slice(0, 1).to_pylist():
        raise FaceServiceError(f"{path}: the item with the id {found[0]} {what}")


def read_table(path: str) -> Any:
    """A Parquet or CSV file, told by its first bytes, as a pyarrow.Table: of Parquet only COLUMNS,
    or all columns if one of REQUIRED is missing. Raises FaceServiceError."""
    with naming(f"{path} is no manifest"), fsspec.open(path, "rb") as file:
        head = file.read(len(PARQUET))
        file.seek(0)
        if head == PARQUET:
            parquet = pyarrow.parquet.ParquetFile(file)
            wanted = [name for name in parquet.schema_arrow.names if name in COLUMNS]
            # All of them where one is missing, for the error lists the columns that there are.
            return parquet.read(wanted if {*REQUIRED} <= {*wanted} else None)
        as_text = pyarrow.csv.ConvertOptions(column_types={"uri": pa.string()})
        return pyarrow.csv.read_csv(file, convert_options=as_text)


def absolute(path: str, folder: str = "") -> str:
    """`path` within `folder`, which is a path or an address; by default within the directory that
    this process works in. An address (with `://`) is returned as it is."""
    if "://" in path:
        return path
    return f"{folder}/{path}" if "://" in folder else str(Path.cwd() / folder / path)


def folder_of(path: str) -> str:
    """The folder that a path or an address is in."""
    return absolute(path).rpartition("/")[0]


def parts_of(items: Sequence[Item], size: int, same: dict[str, Any]) -> list[Part]:
    """The items in order, `size` to a part, perhaps fewer in the last. same: what else the content
    of a file depends on, as JSON; see `part_of`."""
    starts = range(0, len(items), size)
    return [
        part_of(number, tuple(items[start : start + size]), same)
        for number, start in enumerate(starts)
    ]


def part_of(number: int, items: tuple[Item, ...], same: dict[str, Any]) -> Part:
    """A part, named by its number and the SHA-256 of what its content depends on: the items and
    `same` (model, options, version of the schema). The bytes of photos do not count: a file that
    was replaced under its name is not read again."""
    content = json.dumps([[asdict(item) for item in items], same], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    return Part(number, f"part-{number:06d}-{digest}.parquet", items)


def shard_of(parts: Sequence[Part], shard: int, shards: int) -> Sequence[Part]:
    """The parts of shard `shard`, from 0, of `shards`: consecutive ones; the shards differ by one
    part at the most."""
    return parts[len(parts) * shard // shards : len(parts) * (shard + 1) // shards]
