"""What `embed` has written: the parts of a folder, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from face_service.errors import FaceServiceError
from face_service.offline.output import Folder
from face_service.offline.schema import MODEL_KEY, SCHEMA_VERSION, VERSION_KEY


class Results:
    """A folder that `embed` has written, by its path or address. names: of its parts, in order.
    model: pack, recogniser, precision, alignment and dimension of its embeddings, by these names.

    Raises FaceServiceError where it cannot be read, has no parts, or those of another schema than
    SCHEMA_VERSION.
    """

    def __init__(self, path: str) -> None:
        self._folder = Folder(path)
        self.names = sorted(self._folder.parts())
        if not self.names:
            raise FaceServiceError(f"{path} has no parts: face-service embed writes them")
        metadata = self.read(self.names[0], []).schema.metadata or {}
        version = metadata.get(VERSION_KEY, b"none").decode()
        if version != str(SCHEMA_VERSION):
            raise FaceServiceError(f"{path} has schema {version}; {SCHEMA_VERSION} is known here")
        self.model: dict[str, Any] = json.loads(metadata[MODEL_KEY])

    def read(self, name: str, columns: list[str] | None = None) -> Any:
        """A part, by its name, as a pyarrow.Table; columns: None for all. Raises
        FaceServiceError."""
        return self._folder.read(name, columns)

    def tables(self, columns: list[str] | None = None) -> Iterator[Any]:
        """The tables of all parts, in order, each read when it is asked for; see `read`."""
        return (self.read(name, columns) for name in self.names)
