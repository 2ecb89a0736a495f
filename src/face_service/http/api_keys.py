"""Middleware: API keys."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from face_service.errors import Unauthorized
from face_service.http.errors import error_response


class ApiKeys:
    """401 for a request without a key in `Authorization: Bearer KEY` or `X-API-Key: KEY`.

    Decided before any of the body is read. `hashes`: SHA-256 of the keys, in hexadecimal; keys
    are long and random (`face-service key`), so that a slow hash would add nothing.
    `open_paths`: exact paths that need no key.
    """

    def __init__(self, app: ASGIApp, hashes: Sequence[str], open_paths: Collection[str]) -> None:
        self.app = app
        self.hashes = [bytes.fromhex(digest) for digest in hashes]
        self.open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self.open_paths or self._has_key(scope):
            await self.app(scope, receive, send)
            return
        error = Unauthorized("An API key is needed: send it as 'Authorization: Bearer KEY'")
        response = error_response(scope, error, {"WWW-Authenticate": "Bearer"})
        await response(scope, receive, send)

    def _has_key(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        digest = hashlib.sha256(given.encode("latin-1")).digest()
        # All hashes are compared: the time does not depend on which one matches.
        return sum(hmac.compare_digest(digest, known) for known in self.hashes) > 0
