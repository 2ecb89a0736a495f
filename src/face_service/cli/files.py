"""Which files a command looks at: those that are named, and the images in folders."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from face_service.errors import FaceServiceError, ImageTooLarge, InvalidRequest
from face_service.vision.kinds import HEAD, name_unread, sniff

JPEG_SUFFIXES = frozenset({".jpg", ".jpeg"})


class File(NamedTuple):
    """A file to look at, under the name a person gives it.

    named: it was asked for itself, so it should be an image; a folder may hold anything.
    relative: its place in the folder that was asked for, or its bare name.
    """

    path: Path
    named: bool
    relative: Path

    @property
    def name(self) -> str:
        r"""The path as text that can be printed: bytes that are no UTF-8 become \xNN."""
        return os.fsencode(self.path).decode(errors="backslashreplace")


def find_files(paths: Sequence[Path]) -> list[File]:
    """The files among `paths` and those in its folders, each once, in a stable order:
    as given, and in a folder by name, files before subfolders. A file that is given itself and also
    lies in a folder that is given counts as named.

    Links to folders are followed, after everything else in the folder given, unless they lead to
    one that was already seen. Sockets, pipes and devices in folders are left out. A path that does
    not exist or cannot be searched is in the list: reading it gives the error.
    """
    found: dict[Path, File] = {}
    seen: set[tuple[int, int]] = set()
    for path in paths:
        inside = walk(path, seen) if path.is_dir() else [File(path, True, Path(path.name))]
        for file in inside:
            first = found.setdefault(file.path, file)
            found[file.path] = first._replace(named=first.named or file.named)
    return list(found.values())


def laid_out(option: str, out: Path, files: Sequence[File]) -> dict[Path, Path]:
    """The path of a JPEG for each file, by the file's path: below the folder `out`, which is laid
    out as the one they are in.

    Raises FaceServiceError, which names the option, if two of them would be the same, or one of
    them is a file to look at.
    """
    given = {file.path.resolve() for file in files}
    sources: dict[Path, Path] = {}
    for file in files:
        path = out / file.relative
        if path.suffix.lower() not in JPEG_SUFFIXES:
            path = path.with_name(f"{path.name}.jpg")
        if (other := sources.setdefault(path, file.path)) != file.path:
            raise FaceServiceError(f"{option}: {file.path} and {other} would both be {path}")
        if path.resolve() in given:
            raise FaceServiceError(f"{option}: {path} is one of the images")
    return {source: path for path, source in sources.items()}


def walk(root: Path, seen: set[tuple[int, int]]) -> Iterator[File]:
    """The files below a folder, in the order of `find_files`. `seen`: device and inode of the
    folders that were visited; those below are added."""
    refused: list[OSError] = []
    pending = [root]
    for start in pending:  # which grows by the links that are found
        for directory, folders, names in os.walk(start, onerror=refused.append):
            here = Path(directory)
            if not first_visit(here, seen):
                folders.clear()
                continue
            folders.sort()
            pending += [here / name for name in folders if (here / name).is_symlink()]
            for name in sorted(names):
                if not is_special(here / name):
                    yield File(here / name, False, (here / name).relative_to(root))
    for error in refused:
        folder = Path(error.filename)
        yield File(folder, True, folder.relative_to(root))


def first_visit(folder: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether a folder is not in `seen` (device and inode) yet; it is added. False where it cannot
    be looked at."""
    try:
        status = folder.stat()
    except OSError:  # removed a moment ago
        return False
    known = (status.st_dev, status.st_ino) in seen
    seen.add((status.st_dev, status.st_ino))
    return not known


def is_special(path: Path) -> bool:
    """Whether opening it may wait for ever: a pipe, a socket, a device."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def read_file(file: File, max_bytes: int) -> bytes | None:
    """The bytes of a file; None for what lies in a folder and is no image of a known format.

    Raises InvalidRequest if it cannot be read, ImageTooLarge if it is over `max_bytes`.
    """
    try:
        with file.path.open("rb") as opened:
            head = opened.read(HEAD)
            if not file.named and not is_picture(head):
                return None
            data = head + opened.read(max_bytes - len(head) + 1)
    except OSError as error:
        raise InvalidRequest(error.strerror or str(error)) from error
    if len(data) > max_bytes:
        raise ImageTooLarge(f"The file is larger than MAX_BODY_MB ({max_bytes / 1e6:g} MB)")
    return data


def is_picture(head: bytes) -> bool:
    """Whether a file that begins with the bytes `head` is a picture, in a format that is read or in
    one that is not."""
    kind = name_unread(head)
    return sniff(head) is not None or (kind is not None and kind.picture)
