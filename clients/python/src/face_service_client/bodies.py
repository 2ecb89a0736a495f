"""The bodies of requests: forms and JSON, made while they are sent."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from .images import Base64, Source


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request: bytes and sources, sent one after the other."""

    content_type: str
    parts: Sequence[bytes | Source]

    @property
    def length(self) -> int | None:
        """Bytes in all; None where a source does not know its own."""
        lengths = [len(part) if isinstance(part, bytes) else part.length for part in self.parts]
        return None if None in lengths else sum(length or 0 for length in lengths)

    @property
    def spent(self) -> bool:
        """Whether a source in it has been read, at least in part, and cannot be read again."""
        sources = [part for part in self.parts if isinstance(part, Source)]
        return any(source.begun and not source.repeatable for source in sources)

    def pieces(self) -> Iterator[bytes]:
        """The body, from the beginning."""
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from part.pieces()

    async def pieces_async(self) -> AsyncIterator[bytes]:
        """The body, from the beginning."""
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
            else:
                async for piece in part.pieces_async():
                    yield piece


def form(files: Sequence[tuple[str, Source]]) -> Body:
    """multipart/form-data with a file for each pair of a field's name and a source."""
    boundary = secrets.token_hex(16)
    parts: list[bytes | Source] = []
    for field, source in files:
        head = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{field}"; filename="{quoted(source.name)}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        parts += [head.encode(), source, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return Body(f"multipart/form-data; boundary={boundary}", parts)


def quoted(name: str) -> str:
    """A file's name as browsers write it into a form."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def json_image(image: str | Source) -> Body:
    """`{"image_base64": …}` of a text that is base64 already, or of a source."""
    if isinstance(image, str):
        return Body("application/json", [json.dumps({"image_base64": image}).encode()])
    return Body("application/json", [b'{"image_base64": "', Base64(image), b'"}'])
