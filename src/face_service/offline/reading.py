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
"""Errors that another attempt would meet again."""
TRANSIENT = frozenset({408, 425, 429})
"""HTTP statuses below 500 after which another attempt may succeed."""


class Unreadable(FaceServiceError):
    """What is at an address could not be read."""


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Turn any other error within the block into a FaceServiceError whose text begins with `what`:
    the packages behind fsspec have errors of their own, which are no OSError."""
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
    """All of a file, or its first `most` bytes. Reads until there are no more: where a web server
    does not give a length, one `read` of fsspec returns only what has arrived."""
    data = bytearray()
    while some := file.read(most - len(data)):
        data += some
    return bytes(data)


@contextmanager
def open_video(uri: str) -> Iterator[BinaryIO]:
    """A seekable local file with what is at `uri`, closed at the end of the block: itself, or an
    unnamed temporary copy, which is gone when it is closed or this process ends. Raises
    Unreadable."""
    with attempt(uri, local) as file:
        yield file


def local(file: BinaryIO) -> BinaryIO:
    """A local file that fsspec has opened, opened again; else an unnamed temporary copy."""
    if isinstance(getattr(file, "fs", None), LocalFileSystem):
        return Path(file.name).open("rb")
    copy = TemporaryFile()  # noqa: SIM115
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return cast(BinaryIO, copy)


def attempt(uri: str, read: Callable[[BinaryIO], T]) -> T:
    """What `read` returns for the file at `uri`. Opens and reads it up to three times, after
    PAUSES_S, where another attempt can help. Raises Unreadable."""
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
    """The cause of an error at `uri`: fsspec raises FileNotFoundError also where a web server
    answers with another error or cannot be reached, and the cause of that tells which."""
    if isinstance(error, FileNotFoundError) and uri.startswith(("http:", "https:")):
        return error.__cause__ or error
    return error


def final(error: BaseException) -> bool:
    """Whether another attempt would meet the error again."""
    status = getattr(error, "status", None)  # of aiohttp
    if isinstance(status, int):
        return 400 <= status < 500 and status not in TRANSIENT
    return isinstance(error, FINAL)
