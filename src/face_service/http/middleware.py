"""What wraps every request: id, HEAD, a count, safe headers, CORS, a key, a limit on the body."""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from collections.abc import Callable, Collection, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from face_service.errors import ImageTooLarge, InvalidRequest, RequestError, Unauthorized
from face_service.observability.request_record import UNKNOWN_ENDPOINT, RequestRecord
from face_service.observability.timing import StageTimes

REQUEST_ID_HEADER = "X-Request-ID"
# What may be echoed into a header and a log line.
ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestId:
    """Gives every request an id, the caller's `X-Request-ID` if it is sane or a new one, and a
    record. Every line logged from here on shows the id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = given if ACCEPTABLE_ID.fullmatch(given) else uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        state["record"] = RequestRecord(request_id, scope["method"])
        # Not taken back at the end: the server may have something to say after it, and the
        # task, with its context, ends there as well.
        clear_contextvars()
        bind_contextvars(request_id=request_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        await self.app(scope, receive, send_with_id)


SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""On every answer: faces are nobody's but the caller's, in no cache and in no frame."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""On every page that brings none of its own (`routes/pages.py` does)."""


class HeadAsGet:
    """Answers HEAD as GET without the body (RFC 9110, 9.3.2), wherever there is a GET."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if "body" in message else message)

        await self.app({**scope, "method": "GET"}, receive, send_head)


class RequestTelemetry:
    """Tells of every request once it has its answer, and adds the headers every answer has.

    While `closing` says so, connections are closed after their answer, so that clients go
    elsewhere before the port is closed.
    """

    def __init__(
        self,
        app: ASGIApp,
        tell: Callable[[RequestRecord], None],
        closing: Callable[[], bool],
    ) -> None:
        self.app = app
        self.tell = tell
        self.closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        record: RequestRecord = scope["state"]["record"]
        status: int | None = None

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
                if headers.get("content-type", "").startswith("text/html"):
                    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
                if record.times:
                    headers["Server-Timing"] = server_timing(record.times)
                if self.closing():
                    headers["Connection"] = "close"
            else:
                if record.method != "HEAD":
                    record.bytes_out += len(message.get("body", b""))
                if not message.get("more_body"):  # told before the caller knows
                    self._end(record, scope, status)
            await send(message)

        try:
            await self.app(scope, receive, send_safely)
        finally:
            self._end(record, scope, None)

    def _end(self, record: RequestRecord, scope: Scope, status: int | None) -> None:
        endpoint = getattr(scope.get("route"), "path", UNKNOWN_ENDPOINT)
        if record.end(endpoint, status or 500):
            self.tell(record)


def server_timing(times: StageTimes) -> str:
    """The stages as a Server-Timing header, in milliseconds."""
    return ", ".join(f"{stage};dur={ms:.2f}" for stage, ms in times.items())


class Cors(CORSMiddleware):
    """Starlette's, whose refusal of a preflight has the one error shape."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        asked = {"origin", "access-control-request-method"} <= set(headers.keys())
        if asked and scope["method"] == "OPTIONS":
            response = self.preflight_response(Headers(scope=scope))
            if response.status_code != 200:
                error = InvalidRequest(bytes(response.body).decode())
                refusal = error_response(scope, error, {"Vary": response.headers["vary"]})
                await refusal(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


class Failures:
    """Turns an error that nobody expected into a 500. Inside of CORS, or no page could read it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, send_noting)
        except Exception as error:
            if scope["type"] != "http":
                raise
            scope["state"]["record"].error = error
            if started:  # half an answer is out: the server closes the connection
                raise
            failure = RequestError("The service failed on this request")
            await error_response(scope, failure)(scope, receive, send)


class ApiKeys:
    """Lets through who shows a key, in `Authorization: Bearer KEY` or `X-API-Key: KEY`.

    Looked at before anything of the body is read. `hashes`: SHA-256 of the keys, in
    hexadecimal; keys are long and random (`face-service key`), so a slow hash would protect
    nothing and cost every request. `open_paths` need no key.
    """

    def __init__(self, app: ASGIApp, hashes: Sequence[str], open_paths: Collection[str]) -> None:
        self.app = app
        self.hashes = [bytes.fromhex(digest) for digest in hashes]
        self.open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self.open_paths or self._knows(scope):
            await self.app(scope, receive, send)
            return
        error = Unauthorized("An API key is needed: send it as 'Authorization: Bearer KEY'")
        response = error_response(scope, error, {"WWW-Authenticate": "Bearer"})
        await response(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        digest = hashlib.sha256(given.encode("latin-1")).digest()
        # Every hash is compared, in the same time whether it is the first that fits or none.
        return sum(hmac.compare_digest(digest, known) for known in self.hashes) > 0


def error_response(
    scope: Scope, error: RequestError, headers: dict[str, str] | None = None
) -> JSONResponse:
    """`{"detail", "code", "request_id"}`."""
    scope["state"]["record"].code = error.code
    content = {
        "detail": str(error),
        "code": error.code,
        "request_id": scope["state"]["request_id"],
    }
    retry = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return JSONResponse(content, error.status, {**retry, **(headers or {})})


class BodyLimit:
    """Stops reading a body at `max_bytes`, whether its length was declared or not.

    The error is raised from `receive`, where the handler reads, so that it takes the same
    way out as any other.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        record: RequestRecord = scope["state"]["record"]
        declared = Headers(scope=scope).get("content-length", "")
        received = int(declared) if declared.isdigit() and int(declared) > self.max_bytes else 0

        async def limited() -> Message:
            nonlocal received
            if received <= self.max_bytes:
                message = await receive()
                received += len(message.get("body", b""))
                record.bytes_in += len(message.get("body", b""))
                if received <= self.max_bytes:
                    return message
            raise ImageTooLarge(
                f"The request body is larger than the limit of {self.max_bytes:,} bytes"
            )

        await self.app(scope, limited, send)
