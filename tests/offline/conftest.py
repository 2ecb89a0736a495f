"""A store that nobody may read, as an object store without credentials: `locked://`."""

from __future__ import annotations

from typing import Any

import fsspec
import pytest
from fsspec.spec import AbstractFileSystem


class NoCredentials(Exception):
    """No OSError, as botocore's is none."""


class Locked(AbstractFileSystem):  # type: ignore[misc]
    protocol = "locked"

    def refuse(self, *given: Any, **more: Any) -> Any:
        raise NoCredentials("Unable to locate credentials")

    _open = ls = info = makedirs = exists = refuse


@pytest.fixture
def locked() -> None:
    fsspec.register_implementation("locked", Locked, clobber=True)
