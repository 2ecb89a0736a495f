"""Middleware: CORS."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from face_service.errors import InvalidRequest
from face_service.http.errors import error_response


class Cors(CORSMiddleware):
    """Starlette's CORSMiddleware; a refused preflight is an error as any other, in JSON."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        is_preflight = {"origin", "access-control-request-method"} <= set(headers.keys())
        if is_preflight and scope["method"] == "OPTIONS":
            response = self.preflight_response(Headers(scope=scope))
            if response.status_code != 200:
                error = InvalidRequest(bytes(response.body).decode())
                refusal = error_response(scope, error, {"Vary": response.headers["vary"]})
                await refusal(scope, receive, send)
                return
        await super().__call__(scope, receive, send)
