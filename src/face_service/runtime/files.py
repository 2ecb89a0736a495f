"""Files that appear whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

EVERYBODY_READS = 0o644
"""Of a file that is published; `tempfile` would let its owner alone read it."""


def publish_file(path: Path, content: bytes) -> None:
    """Write `path`, whole and on the disk before it has its name; its folder is there.

    Whoever looks sees the old file or the new one, after a crash and a loss of power as well.
    Raises OSError, and leaves nothing behind then.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    scratch = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.chmod(EVERYBODY_READS)
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(directory: Path) -> None:
    """Bring the names in a folder onto the disk."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
