"""Long answers: what is left of them is told, and what is sent is free."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from face_service.http import responses
from face_service.http.responses import UNSENT, ChunkedJson


class Chunk(bytes):
    """Bytes that say when they are freed."""

    freed = 0

    def __del__(self) -> None:
        Chunk.freed += 1


def test_what_is_left_of_a_long_answer_is_told_and_what_is_sent_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(responses, "JOINED_BYTES", 5)
    monkeypatch.setattr(Chunk, "freed", 0)
    response = ChunkedJson([Chunk(b"[1"), Chunk(b",23"), Chunk(b",456]")])
    scope: dict[str, Any] = {"type": "http", "state": {}}
    sent: list[tuple[bytes, bool, int]] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            body = bytes(bytearray(message["body"]))
            assert Chunk.freed == len(sent)
            sent.append((body, message["more_body"], scope["state"][UNSENT]))

    asyncio.run(response(scope, None, send))  # type: ignore[arg-type]
    assert sent == [(b"[1", True, 8), (b",23", True, 5), (b",456]", False, 0)]
