"""Images as the caller has them, read piece by piece while they are sent."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

Image: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Iterable[bytes]
)
"""A path, the bytes, a file open for reading in binary mode, or the bytes in pieces.

A file that can seek and a list of pieces are sent again when a request is tried again. An
iterator, a pipe or a socket can be read only once: such a request is not tried again after
the first byte was read.
"""
AsyncImage: TypeAlias = Image | AsyncIterable[bytes]
"""An Image, or an asynchronous iterable of its bytes in pieces."""

PIECE = 256 * 1024
"""Bytes read from a file at a time: a frame takes one or two reads, a big file little memory."""


class Source(ABC):
    """The bytes of one image. name: its file name in the form.

    repeatable: whether it can be read again. begun: whether reading has begun.
    """

    def __init__(self, name: str = "image", repeatable: bool = True) -> None:
        self.name = name
        self.repeatable = repeatable
        self.begun = False

    @property
    @abstractmethod
    def length(self) -> int | None:
        """Number of bytes in all; None where only reading them would tell."""

    @abstractmethod
    def read(self) -> Iterator[bytes]:
        """The bytes in pieces, from the beginning; may raise OSError. Called by `pieces`."""

    def pieces(self) -> Iterator[bytes]:
        """The bytes in pieces, from the beginning; marks the source as begun."""
        self.begun = True
        yield from self.read()

    async def pieces_async(self) -> AsyncIterator[bytes]:
        """The same, read in another thread: a slow disk does not hold up the event loop."""
        pieces = self.pieces()
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece


class Bytes(Source):
    """Bytes in memory."""

    def __init__(self, content: bytes | bytearray | memoryview) -> None:
        super().__init__()
        self._content = content

    @property
    def length(self) -> int:
        return memoryview(self._content).nbytes

    def read(self) -> Iterator[bytes]:
        yield bytes(self._content)

    async def pieces_async(self) -> AsyncIterator[bytes]:
        yield bytes(self._content)


class NamedFile(Source):
    """A file by its path, opened anew for each attempt; only once if it is a pipe or a device.
    Raises OSError where there is no such file."""

    def __init__(self, path: Path) -> None:
        # Pipes and devices, which are no regular files, can be read only once.
        super().__init__(path.name, stat.S_ISREG(path.stat().st_mode))
        self._path = path

    @property
    def length(self) -> int | None:
        return self._path.stat().st_size if self.repeatable else None

    def read(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


class OpenFile(Source):
    """A file that the caller has opened, and will close, from its present position to its end.
    Raises TypeError for one that is open in text mode."""

    def __init__(self, file: BinaryIO) -> None:
        if isinstance(file, io.TextIOBase):
            raise TypeError("An image is bytes: open its file in binary mode, open(path, 'rb')")
        name = getattr(file, "name", None)
        super().__init__(Path(name).name if isinstance(name, str) else "image", seekable(file))
        self._file = file
        self._length: int | None = None
        if self.repeatable:
            self._start = file.tell()
            self._length = max(file.seek(0, os.SEEK_END) - self._start, 0)

    @property
    def length(self) -> int | None:
        return self._length

    def read(self) -> Iterator[bytes]:
        if self.repeatable:
            self._file.seek(self._start)
        while piece := self._file.read(PIECE):
            yield piece


class Pieces(Source):
    """Bytes in pieces from an iterable: one that is an iterator can be read only once."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__(repeatable=not isinstance(pieces, Iterator))
        self._pieces = pieces

    @property
    def length(self) -> None:
        return None

    def read(self) -> Iterator[bytes]:
        yield from self._pieces


class AsyncPieces(Source):
    """Bytes in pieces from an asynchronous iterable, which only AsyncClient can send."""

    def __init__(self, pieces: AsyncIterable[bytes]) -> None:
        super().__init__(repeatable=not isinstance(pieces, AsyncIterator))
        self._pieces = pieces

    @property
    def length(self) -> None:
        return None

    def read(self) -> Iterator[bytes]:
        raise TypeError("An asynchronous iterable can be sent by AsyncClient only")

    async def pieces_async(self) -> AsyncIterator[bytes]:
        self.begun = True
        async for piece in self._pieces:
            yield piece


class Base64(Source):
    """Another source in base64, encoded while it is read."""

    def __init__(self, source: Source) -> None:
        super().__init__(source.name, source.repeatable)
        self._source = source

    @property
    def length(self) -> int | None:
        length = self._source.length
        return None if length is None else (length + 2) // 3 * 4

    def read(self) -> Iterator[bytes]:
        rest = b""
        for piece in self._source.pieces():
            whole, rest = in_threes(rest + piece)
            yield base64.b64encode(whole)
        yield base64.b64encode(rest)

    async def pieces_async(self) -> AsyncIterator[bytes]:
        self.begun, rest = True, b""
        async for piece in self._source.pieces_async():
            whole, rest = in_threes(rest + piece)
            yield base64.b64encode(whole)
        yield base64.b64encode(rest)


def in_threes(content: bytes) -> tuple[bytes, bytes]:
    """As many bytes as base64 encodes without padding, a multiple of 3, and the 0 to 2 left."""
    end = len(content) // 3 * 3
    return content[:end], content[end:]


def seekable(file: BinaryIO) -> bool:
    """Whether a file can be set back to its present position."""
    try:
        return file.seekable()
    except AttributeError:
        return False


def source_of(image: AsyncImage) -> Source:
    """The image as a source. Raises TypeError for what is none, OSError for a missing file."""
    if isinstance(image, (str, os.PathLike)):
        return NamedFile(Path(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return Bytes(image)
    if hasattr(image, "read"):
        return OpenFile(cast(BinaryIO, image))
    if isinstance(image, AsyncIterable):
        return AsyncPieces(image)
    if isinstance(image, Iterable):
        return Pieces(image)
    raise TypeError(f"An image is a path, bytes, a file or an iterable of bytes, not {image!r}")
