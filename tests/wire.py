"""Small things that tests of a running server want."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from face_service.app import create_app
from face_service.config import Settings
from face_service.packs.pack import Pack
from tests.server import Server

CONSOLE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - [\w.]+ - (DEBUG|INFO|WARNING|ERROR) - .+")
"""A line of the log in its console format."""


@asynccontextmanager
async def in_this_loop(pack: Pack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application in this very event loop, ready."""
    app = create_app(
        Settings(
            _env_file=None,
            insightface_model=pack.name,
            model_cache_dir=pack.directory.parent,
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


def settled(condition: Callable[[], bool], timeout: float = 30) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def metric(server: Server, name: str, **labels: str) -> float:
    """A sample of /metrics, 0 where it is not there."""
    text = server.client.get("/metrics").text
    # Parsing all of it takes milliseconds, and tests ask again and again until something is so.
    lines = "\n".join(line for line in text.splitlines() if line.startswith(name))
    return sum(
        sample.value
        for family in text_string_to_metric_families(lines)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def entries(text: str) -> list[dict[str, Any]]:
    """The lines of a JSON log; a line that is no object is a failure."""
    found = [json.loads(line) for line in text.splitlines()]
    assert all(isinstance(entry, dict) for entry in found)
    return found
