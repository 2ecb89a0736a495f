"""Pictures that take for ever, through a whole service."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import numpy as np
import pytest

from face_service.app import create_app
from face_service.config import Settings
from face_service.errors import DecodingStalled
from face_service.packs.pack import Pack
from face_service.serving import decoders
from face_service.serving.decoders import MAX_STALLED, DecodePool
from tests.images import encode
from tests.server import Server
from tests.wire import metric, settled

from .test_decoders import LONG_S


def test_without_all_of_them_the_service_is_not_ready(
    open_pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(decoders, "WATCH_S", 0.05)
    app = create_app(
        Settings(
            _env_file=None,
            insightface_model="open",
            model_cache_dir=open_pack.directory.parent,
            stall_timeout_s=1,
        )
    )

    async def until(http: httpx.AsyncClient, status: str, code: int) -> None:
        async with asyncio.timeout(120):
            while (  # noqa: ASYNC110
                answer := await http.get("/health")
            ).json()["status"] != status:
                await asyncio.sleep(0.05)
        assert answer.status_code == code

    async def run() -> None:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://app") as http,
        ):
            await until(http, "healthy", 200)
            with monkeypatch.context() as nothing_new:
                nothing_new.setattr(DecodePool, "_fill", lambda _: None)
                with pytest.raises(DecodingStalled):
                    await app.state.service.run_in_pool(released.wait, LONG_S)
                await until(http, "recovering", 503)
                refused = await http.post("/detect", content=b"")
                assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
            await until(http, "healthy", 200)
            released.set()

    asyncio.run(run())


def post(server: Server, image_format: str) -> httpx.Response:
    data = encode(np.zeros((40, 56, 3), np.uint8), image_format)
    headers = {"Content-Type": f"image/{image_format.lower()}"}
    return httpx.post(f"{server.url}/detect", content=data, headers=headers, timeout=60)


def slow(start_server: Callable[..., Server], **variables: str) -> Server:
    server = start_server(module="tests.hostile.slow_decoder", **variables)
    server.wait_until_ready()
    return server


def test_pictures_that_take_hours_cost_others_the_stall_timeout(
    start_server: Callable[..., Server],
) -> None:
    server = slow(start_server, STALL_TIMEOUT_S="3", REQUEST_TIMEOUT_S="20")
    threads = int(metric(server, "face_service_decoders"))
    hanging = min(threads, MAX_STALLED - 1)
    with ThreadPoolExecutor(hanging + 1) as clients:
        stuck = [clients.submit(post, server, "BMP") for _ in range(hanging)]
        time.sleep(0.5)
        assert clients.submit(post, server, "PNG").result().status_code == 200
        for answer in (future.result() for future in stuck):
            assert answer.status_code == 400
            assert answer.json()["detail"] == "The image could not be decoded within 3 s"
    settled(lambda: metric(server, "face_service_decoders") == threads)
    assert metric(server, "face_service_decoders_lost_total", why="stalled") == hanging
    assert server.client.get("/health").status_code == 200
    for _ in range(MAX_STALLED - hanging):
        with suppress(httpx.TransportError):  # the process ends
            post(server, "BMP")
    assert server.wait_until_ended() == 1
    assert "decoders have hung within an hour" in server.log()
