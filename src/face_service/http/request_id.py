"""Middleware: an id and a record for every request."""

from __future__ import annotations

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from face_service.observability.request_record import RequestRecord

REQUEST_ID_HEADER = "X-Request-ID"
ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""A caller's id that may be repeated in a header and in log lines; any other is replaced."""


class RequestId:
    """Sets `scope["state"]["request_id"]` and `scope["state"]["record"]`.

    The id is the caller's `X-Request-ID` if it matches ACCEPTABLE_ID, else a new UUID. It is
    sent back in the same header, and is a field of every log line of the request.
    """

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
        # Not unbound at the end: the server may log after it, and the context ends with its task.
        clear_contextvars()
        bind_contextvars(request_id=request_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        await self.app(scope, receive, send_with_id)
