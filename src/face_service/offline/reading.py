"""The bytes of an item: from a path, or over fsspec (`s3://`, `https://`, …)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import fsspec

from face_service.errors import ImageTooLarge

PAUSES_S = (0.5, 2.0)
"""Before a second and a third attempt at an address that could not be read."""
FINAL = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
"""Errors of which another attempt makes nothing better."""


def read_bytes(uri: str, most: int) -> bytes:
    """What is at `uri`. Raises OSError, ImageTooLarge for more than `most` bytes, and ImportError
    or ValueError for a kind of address that cannot be read here."""
    for pause in (*PAUSES_S, None):
        try:
            with open_uri(uri) as file:
                data = file.read(most + 1)
        except FINAL:
            raise
        except OSError:
            if pause is None:
                raise
            time.sleep(pause)
            continue
        if len(data) > most:
            raise ImageTooLarge(f"The file is larger than MAX_BODY_MB ({most / 1e6:g} MB)")
        return data
    raise AssertionError("not reached")


@contextmanager
def open_uri(uri: str) -> Iterator[BinaryIO]:
    """Open what is at `uri`, seekable. Errors as of `read_bytes`."""
    with fsspec.open(uri, "rb") as file:
        yield cast(BinaryIO, file)
