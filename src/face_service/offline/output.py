"""The folder that a run fills: a file for each part, which appears whole or not at all."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import fsspec
import pyarrow.parquet

from face_service.errors import FaceServiceError
from face_service.offline.manifest import Part
from face_service.offline.reading import naming

ABOUT = "_embed.json"
"""Name of the file with model and options. Readers of Parquet folders ignore names that begin with
an underscore: this one, and those of files that are being written."""
PART = re.compile(r"part-\d{6,}-[0-9a-f]{16}\.parquet")


class Folder:
    """A folder, by its path or an address that fsspec knows. The constructor and every method raise
    FaceServiceError where it cannot be read or written."""

    def __init__(self, path: str) -> None:
        self.path = path
        with naming(path):
            self._files, self._root = fsspec.core.url_to_fs(path)

    def agree(self, about: dict[str, Any]) -> None:
        """Make the folder, if it is absent, and write `about` (see `Request.about`) into it. Raises
        FaceServiceError if it has another one already, or has parts but none."""
        there = f"{self._root}/{ABOUT}"
        with naming(f"--out {self.path}"):
            self._files.makedirs(self._root, exist_ok=True)
            if not self._files.exists(there):
                if self.parts():
                    raise FaceServiceError(f"--out {self.path} has parts, but no {ABOUT}")
                self._write(there, json.dumps(about, indent=2, sort_keys=True).encode())
            found = json.loads(self._files.cat_file(there))
        for name, value in about.items():
            if found.get(name) != value:
                raise FaceServiceError(
                    f"--out {self.path} has another {name}: {differing(found.get(name), value)}. "
                    "Write to another folder: embeddings of two models must not mix"
                )

    def parts(self) -> set[str]:
        """The names of the parts that are there; none where there is no folder."""
        with naming(self.path), suppress(FileNotFoundError):
            self._files.invalidate_cache()
            paths = self._files.ls(self._root, detail=False)
            return {name for path in paths if PART.fullmatch(name := path.rpartition("/")[2])}
        return set()

    def missing(self, parts: Sequence[Part], of_all: Sequence[Part]) -> list[Part]:
        """Those of `parts` that are not there. of_all: every part of the manifest; raises
        FaceServiceError where the folder has a part that is none of these."""
        there = self.parts()
        if strange := sorted(there - {part.name for part in of_all}):
            raise FaceServiceError(
                f"--out {self.path} has {len(strange)} parts of another manifest, other options or "
                f"another --rows, such as {strange[0]}: write to another folder, or remove them"
            )
        return [part for part in parts if part.name not in there]

    def write(self, part: Part, table: Any) -> None:
        """Write a part, a pyarrow.Table. Its file is there whole or not at all."""
        sink = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(table, sink, compression="zstd")
        self._write(f"{self._root}/{part.name}", sink.getvalue().to_pybytes())

    def read(self, name: str, columns: list[str] | None = None) -> Any:
        """A part, by the name of its file, as a pyarrow.Table. columns: None for all."""
        with (
            naming(f"{self.path}/{name}"),
            self._files.open(f"{self._root}/{name}", "rb") as file,
        ):
            # Without Arrow's threads: one that still had the file when Python ends would abort it.
            return pyarrow.parquet.ParquetFile(file).read(columns=columns, use_threads=False)

    def _write(self, path: str, content: bytes) -> None:
        # A process that is killed leaves a `.partial`, which is not taken for a part. Of two that
        # write one part either may be the last: they write the same.
        folder, _, name = path.rpartition("/")
        partial = f"{folder}/_{secrets.token_hex(4)}-{name}.partial"
        with naming(f"--out {self.path}"):
            try:
                self._files.pipe_file(partial, content)
                self._files.mv(partial, path)
            except Exception:
                with suppress(Exception):  # what went wrong is raised below, not this
                    self._files.rm_file(partial)
                raise


def differing(found: Any, wanted: Any) -> str:
    """What of two values differs, in words."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        names = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
        return "; ".join(f"{name} {differing(found.get(name), wanted.get(name))}" for name in names)
    return f"{found} there, {wanted} here"
