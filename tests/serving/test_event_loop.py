"""The event loop never blocks, whatever is sent: blockbuster raises where it would."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import cv2
import httpx
import numpy as np
import pytest
from blockbuster import BlockingError, blockbuster_ctx

from face_service.app import create_app
from face_service.config import Settings
from face_service.packs.pack import Pack
from tests.images import encode

EIGHT_MB = 8_000_000


@pytest.fixture(scope="module")
def large_image(request: pytest.FixtureRequest) -> bytes:
    """A PNG of more than 8 MB with real faces and noise."""
    solvay = cv2.imread(str(request.getfixturevalue("solvay")))
    noise = np.random.default_rng(0).integers(0, 25, solvay.shape, np.uint8)
    data = encode(cv2.add(solvay, noise), "PNG", compress_level=1)
    assert len(data) > EIGHT_MB
    return data


@asynccontextmanager
async def client(starter: Pack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application in this very event loop, ready."""
    app = create_app(
        Settings(
            _env_file=None,
            insightface_model="starter",
            model_cache_dir=starter.directory.parent,
        )
    )
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://app", timeout=60) as http,
    ):
        while (await http.get("/health")).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        yield http


def test_bodies_of_8_mb_do_not_block_the_event_loop(starter: Pack, large_image: bytes) -> None:
    async def run() -> list[httpx.Response]:
        part = ("large.png", large_image, "image/png")  # or the client looks for mime.types
        async with client(starter) as http:
            with blockbuster_ctx():
                return [
                    await http.post("/detect", files={"file": part}),
                    await http.post(
                        "/detect", content=large_image, headers={"content-type": "image/png"}
                    ),
                    await http.post("/detect/batch", files=[("files", part), ("files", part)]),
                    await http.post(
                        "/extract-embedding",
                        json={"image_base64": base64.b64encode(large_image).decode()},
                    ),
                    await http.get("/health"),
                    await http.get("/models"),
                ]

    responses = asyncio.run(run())
    assert [response.status_code for response in responses] == [200] * 6
    assert len(responses[0].json()["faces"]) >= 25


def test_the_watch_would_see_a_blocking_call() -> None:
    async def block() -> None:
        with blockbuster_ctx():
            time.sleep(0.001)  # noqa: ASYNC251

    with pytest.raises(BlockingError):
        asyncio.run(block())
