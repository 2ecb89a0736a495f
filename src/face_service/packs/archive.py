"""Single members of a zip or a tar archive, by their exact names."""

from __future__ import annotations

import os
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from face_service.errors import PackError

MEMBER_LIMIT = 1 << 30  # bytes of one unpacked network; the largest catalogued one has 261 MB
_CHUNK = 1 << 20  # bytes


def extract(archive: Path, members: Mapping[str, Path], limit: int = MEMBER_LIMIT) -> None:
    """Copy members, by their exact names, to new files at the given paths, and fsync these.

    The caller names every target, so no entry can escape from a folder. Raises PackError
    for a missing member, one that is not a plain file or has more than `limit` bytes, and
    for what is no whole zip or tar archive; OSError where a target exists or the disk fails.
    """
    try:
        with ExitStack() as stack:
            if zipfile.is_zipfile(archive):
                opened: zipfile.ZipFile | tarfile.TarFile
                opened = stack.enter_context(zipfile.ZipFile(archive))
            else:
                opened = stack.enter_context(tarfile.open(archive))
            for name, target in members.items():
                with _open(opened, name) as source, target.open("xb") as file:
                    _copy(source, file, name, limit)
    except KeyError as error:
        raise PackError(f"{archive.name} lacks a file it should hold: {error.args[0]}") from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError) as error:
        raise PackError(f"{archive.name} cannot be unpacked: {error}") from error


def _open(archive: zipfile.ZipFile | tarfile.TarFile, name: str) -> IO[bytes]:
    if isinstance(archive, zipfile.ZipFile):
        return archive.open(name)
    member = archive.getmember(name)
    source = archive.extractfile(member) if member.isreg() else None
    if source is None:
        raise PackError(f"{name} is not a plain file")
    return source


def _copy(source: IO[bytes], file: IO[bytes], name: str, limit: int) -> None:
    copied = 0
    while chunk := source.read(_CHUNK):
        copied += len(chunk)
        if copied > limit:
            raise PackError(f"{name} unpacks to more than {limit} bytes")
        file.write(chunk)
    file.flush()
    os.fsync(file.fileno())
