"""What lies at a path or an address, by fsspec (`s3://`, `https://`, …): photos and videos."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, TypeVar, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from face_service.errors import FaceServiceError, ImageTooLarge

T = TypeVar("T")

PAUSES_S = (0.5, 2.0)
"""Before a second and a third attempt at an address that could not be read."""
FINAL = (
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ImportError,  # no package for this kind of address
    ValueError,  # no kind of address
)
"""Errors of which another attempt makes nothing better."""
TRANSIENT = frozenset({408, 425, 429})
"""Statuses below 500 that a server takes back."""


class Unreadable(FaceServiceError):
    """What is at an address could not be read."""


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Raise a FaceServiceError that begins with `what` for any error: the packages behind fsspec
    have errors of their own, which are no OSError."""
    try:
        yield
    except FaceServiceError:
        raise
    except Exception as error:
        raise FaceServiceError(f"{what}: {error or type(error).__name__}") from error


def read_bytes(uri: str, most: int) -> bytes:
    """What is at `uri`. Raises Unreadable, and ImageTooLarge for more than `most` bytes."""
    data = attempt(uri, lambda file: first_bytes(file, most + 1))
    if len(data) > most:
        raise ImageTooLarge(f"The file is larger than MAX_BODY_MB ({most / 1e6:g} MB)")
    return data


def first_bytes(file: BinaryIO, most: int) -> bytes:
    """All of a file, or its first `most` bytes. Of an answer whose length the server has not said
    fsspec gives at a time what has come so far."""
    data = bytearray()
    while some := file.read(most - len(data)):
        data += some
    return bytes(data)


@contextmanager
def open_video(uri: str) -> Iterator[BinaryIO]:
    """A file of this machine, seekable, with what is at `uri`: itself, or a copy without a name,
    which is gone when this process is. Raises Unreadable."""
    with attempt(uri, local) as file:
        yield file


def local(file: BinaryIO) -> BinaryIO:
    """The file of this machine that fsspec has opened, once more, or a copy of what it reads."""
    if isinstance(getattr(file, "fs", None), LocalFileSystem):
        return Path(file.name).open("rb")
    copy = TemporaryFile()  # noqa: SIM115
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return cast(BinaryIO, copy)


def attempt(uri: str, read: Callable[[BinaryIO], T]) -> T:
    """What `read` makes of the file at `uri`: three attempts, where another one can help. Raises
    Unreadable."""
    for pause in (*PAUSES_S, None):
        try:
            with fsspec.open(uri, "rb") as file:
                return read(cast(BinaryIO, file))
        except Exception as error:
            cause = said(error, uri)
            if pause is None or final(cause):
                raise Unreadable(f"{type(cause).__name__}: {cause}") from error
            time.sleep(pause)
    raise AssertionError("not reached")


def said(error: Exception, uri: str) -> BaseException:
    """What an error at an address is about: fsspec has a FileNotFoundError for whatever a web
    server answers that is no file, and where it cannot be reached."""
    if isinstance(error, FileNotFoundError) and uri.startswith(("http:", "https:")):
        return error.__cause__ or error
    return error


def final(error: BaseException) -> bool:
    """Whether another attempt makes nothing better."""
    status = getattr(error, "status", None)  # of aiohttp
    if isinstance(status, int):
        return 400 <= status < 500 and status not in TRANSIENT
    return isinstance(error, FINAL)
