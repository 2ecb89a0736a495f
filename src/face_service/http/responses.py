"""Responses of JSON that hold no more memory than they have to."""

from __future__ import annotations

from fastapi import Response
from starlette.types import Receive, Scope, Send

JOINED_BYTES = 1_000_000
"""Bytes of the largest body that is sent in one piece."""
UNSENT = "unsent"
"""In `scope["state"]`: bytes of the response that are in memory and have yet to be sent."""


class ChunkedJson(Response):
    """A response, status 200, whose body is JSON in chunks. It has a Content-Length; its chunks are
    joined up to JOINED_BYTES, else sent one by one and freed."""

    def __init__(self, chunks: list[bytes]) -> None:
        size = sum(map(len, chunks))
        headers = {"content-length": str(size)}
        super().__init__(media_type="application/json", headers=headers)
        self.chunks = chunks if size > JOINED_BYTES else [b"".join(chunks)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then a message for each chunk."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        self.chunks.reverse()
        unsent = sum(map(len, self.chunks))
        while self.chunks:
            body = self.chunks.pop()  # what is sent is freed
            scope["state"][UNSENT] = unsent = unsent - len(body)
            more = bool(self.chunks)
            await send({"type": "http.response.body", "body": body, "more_body": more})
            del body
