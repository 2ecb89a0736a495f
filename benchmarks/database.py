"""Statements of benchmarks, and rows by the hundred thousand."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scripts.postgres import installation

from benchmarks.crowd import Labels, Vectors


class Database:
    """Statements by the package's psql."""

    def __init__(self, url: str) -> None:
        self._command = [installation() / "bin" / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d"]
        self._command.append(url)

    def run(self, statements: str) -> str:
        """Runs them in one session; what they print."""
        return subprocess.run(
            [*self._command, "-f", "-"],
            input=statements, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    def milliseconds(self, statements: str, of: Iterable[str]) -> list[float]:
        """The time of each statement of `of`, in one session, after `statements`."""
        printed = self.run(f"{statements}\n\\timing on\n" + "".join(f"{one};\n" for one in of))
        return [float(found) for found in re.findall(r"^Time: ([\d.]+) ms", printed, re.M)]

    def copy(self, table: str, rows: np.ndarray, folder: Path) -> None:
        """Loads the fields of a structured array, as `COPY … WITH (FORMAT binary)` reads them."""
        path = folder / "rows"
        with path.open("wb") as file:
            file.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            file.write(rows.tobytes() + b"\xff\xff")
        self.run(f"\\copy {table} FROM '{path}' WITH (FORMAT binary)")
        path.unlink()

    def load_references(self, made: np.ndarray, folder: Path) -> float:
        """Fills `creator_face_embeddings`, then makes its HNSW index, which takes a third of the
        time that it takes row by row; the seconds of that."""
        name = "creator_face_embeddings_embedding_idx"
        index = self.run(f"SELECT pg_get_indexdef('{name}'::regclass)").replace("ON ONLY", "ON")
        self.run(f"DROP INDEX {name}")
        self.copy("creator_face_embeddings", made, folder)
        begun = time.monotonic()
        self.run(f"SET maintenance_work_mem = '1GB'; {index}; VACUUM ANALYZE")
        return time.monotonic() - begun


def rows(vectors: Vectors, number: str, **columns: Labels) -> np.ndarray:
    """Integers and a vector, in PostgreSQL's binary format. number: `>f2` of a halfvec, `>f4` of a
    vector."""
    dimension = vectors.shape[1]
    fields: list[tuple[str, str] | tuple[str, str, int]] = [("fields", ">i2")]
    for name in columns:
        fields += [(f"{name} bytes", ">i4"), (name, ">i4")]
    fields += [("bytes", ">i4"), ("dimension", ">i2"), ("zero", ">i2"), ("v", number, dimension)]
    made = np.zeros(len(vectors), np.dtype(fields))
    made["fields"] = len(columns) + 1
    for name, values in columns.items():
        made[f"{name} bytes"], made[name] = 4, values
    made["bytes"] = 4 + dimension * np.dtype(number).itemsize
    made["dimension"], made["v"] = dimension, vectors
    return made
