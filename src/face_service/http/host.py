"""The header Host of a request: one of it (RFC 9112, 3.2)."""

from __future__ import annotations

from collections.abc import Iterable

from face_service.errors import HttpError


def check_host(version: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise HttpError, 400, for a request with several Host headers, of which a proxy in front may
    have read another one, or with none, unless it is HTTP/1.0. version: "1.0" or "1.1". headers:
    names in lower case."""
    hosts = sum(name == b"host" for name, _ in headers)
    if hosts > 1 or (not hosts and version != "1.0"):
        raise HttpError(400, "A request has one Host header")
