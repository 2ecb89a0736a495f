"""What the tests of both clients share."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from face_service_client import AsyncClient, Client, async_client
from face_service_client import client as client_module
from tests.server import Server

from .misbehaving import Misbehaving, serve
from .workshop import Workshop, install

Connect = Callable[..., Client]
KEY = "key-of-these-tests"


@pytest.fixture(scope="session")
def locked(start_server: Callable[..., Server]) -> Iterator[Server]:
    """A server that wants the key KEY."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    server = start_server(lasting=True, API_KEYS=digest, DRAIN_GRACE_S="0")
    server.wait_until_ready()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def workshop() -> Workshop:
    """Node, Bun and the TypeScript compiler."""
    return install()


@pytest.fixture(scope="session")
def misbehaving() -> Iterator[Misbehaving]:
    """A server that does what scripts say."""
    with serve() as running:
        yield running


class Awaited:
    """An AsyncClient with the methods of a Client: each runs in an event loop to its end."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.runner = asyncio.Runner()
        self.client = AsyncClient(*arguments, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            return self.runner.run(getattr(self.client, name)(*arguments, **options))

        return call


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that clients make, which are written down and not waited for."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(client_module, "time", SimpleNamespace(sleep=made.append))
    monkeypatch.setattr(
        async_client,
        "asyncio",
        SimpleNamespace(sleep=sleep, timeout=asyncio.timeout),
    )
    return made


@pytest.fixture(params=[Client, Awaited], ids=["Client", "AsyncClient"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients, `connect(url, …)`, first of the one kind, then of the other."""
    made: list[Any] = []

    def make(*arguments: Any, **options: Any) -> Any:
        made.append(request.param(*arguments, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()
        if isinstance(client, Awaited):
            client.runner.close()
