"""Folders that a child process fills once, kept beside the compiled programs: what takes long to
make, or memory that the service should not keep.

A folder is there whole or not at all, and made again where a file of it is missing or cut short.
Processes that share a cache make it once.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock

from .child_process import end_with_parent, exit_status, requests, run
from .files import PUBLISHED_MODE, publish_file, sync_folder

SIZES = "sizes.json"
"""Written last: the size in bytes of every other file. Where they differ, all is made again."""


def is_complete(folder: Path) -> bool:
    """Whether all files of a folder are there, whole."""
    try:
        sizes = json.loads((folder / SIZES).read_bytes())
        return bool(sizes) and sizes == sizes_in(folder)
    except (OSError, ValueError):
        return False


def sizes_in(folder: Path) -> dict[str, int]:
    """Bytes by name of the files of a folder."""
    return {path.name: path.stat().st_size for path in folder.iterdir() if path.name != SIZES}


def discard(folder: Path) -> None:
    """Have a folder made again when it is next asked for."""
    with suppress(OSError):
        (folder / SIZES).unlink()


def fill_once(
    folder: Path, command: Sequence[str], request: Mapping[str, Any], seconds: float
) -> None:
    """Have `command` fill `folder`, unless it is complete: see `fill_as_asked`, its other side.

    request: what it is told, as JSON. seconds: after which it is killed. Raises OSError where the
    folder cannot be written, RuntimeError with the reason where the command fails or is killed.
    """
    if is_complete(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / "lock"):
        if not is_complete(folder):  # another process may have made it meanwhile
            fill(folder, command, request, seconds)


def fill(folder: Path, command: Sequence[str], request: Mapping[str, Any], seconds: float) -> None:
    """`fill_once` without a look at what is there, which is replaced."""
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix="."))
    try:
        ended = run(command, seconds, json.dumps({**request, "folder": str(scratch)}))
        if ended is None or ended.status != 0:
            said = ended.err.strip().splitlines()[-1:] if ended else []
            raise RuntimeError(said[0] if said else "the process that makes it has ended")
        for name in sizes_in(scratch):
            descriptor = os.open(scratch / name, os.O_RDWR)
            os.fsync(descriptor)
            os.close(descriptor)
            (scratch / name).chmod(PUBLISHED_MODE)
        publish_file(scratch / SIZES, json.dumps(sizes_in(scratch)).encode())
        scratch.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)  # what is there is not complete
        scratch.replace(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    sync_folder(folder.parent)


def fill_as_asked(write: Callable[[Mapping[str, Any], Path], None]) -> int:
    """In the child: call `write` with the request on stdin and the folder to write into.

    Returns the exit status; where it is not 0, the last line on stderr is the reason.
    """
    request = next(requests())
    folder = Path(request["folder"])

    def abandon() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    end_with_parent(abandon)
    return exit_status(partial(write, request, folder))
