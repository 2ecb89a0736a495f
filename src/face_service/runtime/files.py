"""Files that are written as a whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PUBLISHED_MODE = 0o644
"""Readable by every user; a file of `tempfile` is readable by its owner only."""


def publish_file(path: Path, content: bytes) -> None:
    """Replace `path`, in a folder that exists, by a file with `content`.

    A reader sees the old file or the new one, also after a crash or a loss of power. Raises
    OSError; then `path` is unchanged and nothing is left behind, unless only the last step failed,
    `sync_folder`.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    scratch = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.chmod(PUBLISHED_MODE)
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(directory: Path) -> None:
    """Flush a folder's entries to the disk (fsync); nothing where the system cannot."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
