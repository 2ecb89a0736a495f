"""Middleware: the largest request body."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from face_service.errors import ImageTooLarge
from face_service.observability.request_record import RequestRecord


class BodyLimit:
    """Stops reading a body at `max_bytes`, whether its length was declared or not.

    Raises ImageTooLarge from `receive`, in the handler that reads: the exception handlers answer
    it as any other error.
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
        received = int(declared) if declared.isdecimal() and int(declared) > self.max_bytes else 0

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
