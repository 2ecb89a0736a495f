"""The clients in several threads, and in an event loop with other things to do."""

from __future__ import annotations

import asyncio
import io
import threading

import pytest

from face_service_client import AsyncClient, Client
from tests.wire import settled

from .misbehaving import Misbehaving


def test_a_client_may_be_shared_by_threads(misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")
    found: list[int] = []
    with Client(url) as client:
        threads = [
            threading.Thread(
                target=lambda: found.append(len(client.detect(io.BytesIO(b"x")).faces))
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [1] * 8
    assert len(seen) == 8


def test_a_cancelled_call_hangs_up_and_its_client_lives_on(misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("silence-then-well")

    async def cancel() -> None:
        async with AsyncClient(url) as client:
            call = asyncio.create_task(client.detect(b"image"))
            await asyncio.to_thread(settled, lambda: bool(seen) and seen[0].received > 0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.to_thread(settled, lambda: seen[0].left)
            assert (await client.detect(b"image")).faces

    asyncio.run(cancel())
    assert len(seen) == 2


def test_the_event_loop_runs_while_a_file_is_read(misbehaving: Misbehaving) -> None:
    url, _ = misbehaving.script("well")

    ticked = threading.Event()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert ticked.wait(30), "the loop stands still"
            return super().read(size)

    async def both() -> None:
        async with AsyncClient(url) as client:
            call = asyncio.create_task(client.detect(Slow(b"image")))
            await asyncio.sleep(0.1)
            ticked.set()
            assert (await call).faces

    asyncio.run(both())
