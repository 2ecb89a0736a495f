"""Messages of a client to an ASGI application, sent at the moment that a test chooses."""

from __future__ import annotations

import asyncio

from starlette.types import Message

LEFT: Message = {"type": "http.disconnect"}


def body(data: bytes, more: bool = False) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


class Client:
    """Sends messages when the test says so."""

    def __init__(self, *messages: Message) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        for message in messages:
            self.messages.put_nowait(message)

    async def receive(self) -> Message:
        return await self.messages.get()

    def sends(self, message: Message) -> None:
        self.messages.put_nowait(message)
