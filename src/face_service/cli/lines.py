"""A file of JSON lines, one for each image, that a later run continues."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from face_service.errors import FaceServiceError

BEGINNING = b'{"file":'
"""How every line begins. A last line without a newline is taken for one that was cut off if it
begins so; else the file is not of this program."""


class Lines:
    """The file of `--out`, open for more lines.

    A line is written at once and whole, before the next image is taken up, so a process that
    is killed leaves at most one line cut off. Opening the file removes that line and reads
    the rest: `done` has the `file` of every line about an image, `frames` the last `frame_ms` of
    each video, by its `file`, and `failed` counts the lines with an `error`.

    same: keys and values that every line must have, for lines of another pack or of other
    options must not be mixed with these.

    Raises FaceServiceError if the file cannot be read or written, if another process is writing it,
    or if it holds anything else than such lines.
    """

    def __init__(self, path: Path, same: Mapping[str, Any]) -> None:
        self.done: set[str] = set()
        self.frames: dict[str, int] = {}
        self.failed = 0
        self._path = path
        try:
            if path.exists() and not stat.S_ISREG(path.stat().st_mode):
                raise FaceServiceError(f"--out {path} is no file; --json prints the lines")
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise self._failure(error) from error
        try:
            self._lock()
            self._read(same)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file, which ends its lock: another process can write it."""
        self._file.close()

    def write(self, line: bytes) -> None:
        """Add a line, which must not end with a newline. Raises FaceServiceError."""
        rest = memoryview(line + b"\n")
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:  # a full disk: the next start removes what was written
            raise self._failure(error) from error

    def _lock(self) -> None:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise FaceServiceError(
                    f"--out {self._path}: another process is writing it"
                ) from error
            except OSError:  # a file system without locks
                return

    def _read(self, same: Mapping[str, Any]) -> None:
        whole = 0
        self._file.seek(0)
        with open(self._file.fileno(), "rb", closefd=False) as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n") and line[: len(BEGINNING)] == BEGINNING[: len(line)]:
                    break
                self._take(number, line, same)
                whole += len(line)
        try:
            if whole < os.fstat(self._file.fileno()).st_size:
                self._file.truncate(whole)
        except OSError as error:
            raise self._failure(error) from error

    def _take(self, number: int, line: bytes, same: Mapping[str, Any]) -> None:
        where = f"--out {self._path}, line {number}"
        try:
            content = orjson.loads(line)
            name, error, ms = content["file"], content["error"], content.get("frame_ms")
        except (ValueError, KeyError, TypeError) as problem:
            raise FaceServiceError(f"{where} was not written by face-service detect") from problem
        for key, value in same.items():
            if content.get(key) != value:
                raise FaceServiceError(
                    f"{where} has another {key}: {difference(content.get(key), value)}. "
                    "Write to another file, or ask for the same"
                )
        if ms is None:
            self.done.add(name)
        else:
            self.frames[name] = ms
        self.failed += error is not None

    def _failure(self, error: OSError) -> FaceServiceError:
        return FaceServiceError(f"--out {self._path}: {error.strerror or error}")


def difference(there: Any, here: Any) -> str:
    """What of two values differs, in words; of two dicts, under which keys."""
    if not isinstance(there, dict) or not isinstance(here, dict):
        return f"{there} there, {here} here"
    return ", ".join(
        f"{key} {there.get(key)} there, {here.get(key)} here"
        for key in {**there, **here}
        if there.get(key) != here.get(key)
    )
