"""Middleware, and its order: telemetry, failures, the limit of a body, HEAD, CORS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from face_service.app import create_app
from face_service.config import Settings
from face_service.errors import ImageTooLarge
from face_service.http.body_limit import BodyLimit
from face_service.http.cors import Cors
from face_service.http.errors import Failures
from face_service.http.head import HeadAsGet
from face_service.http.telemetry import RequestTelemetry
from face_service.observability.request_record import RequestRecord
from tests.http.client import Client, body


def wrapped(
    app: Callable[[Scope, Receive, Send], Awaitable[None]],
) -> tuple[Callable[..., Awaitable[None]], list[RequestRecord], list[Message], Scope]:
    """An application in RequestTelemetry and Failures, its records, its messages, its scope."""
    told: list[RequestRecord] = []
    sent: list[Message] = []
    record = RequestRecord("id", "POST")
    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": [],
                    "state": {"record": record, "request_id": "id"}}  # fmt: skip

    async def send(message: Message) -> None:
        sent.append(message)

    observed = RequestTelemetry(Failures(app), on_complete=told.append)  # type: ignore[arg-type]
    return lambda: observed(scope, Client().receive, send), told, sent, scope


def test_an_unexpected_error_is_a_500_told_once() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("secret")

    call, told, sent, _ = wrapped(app)
    asyncio.run(call())  # type: ignore[arg-type]
    assert [(record.status, type(record.error)) for record in told] == [(500, KeyError)]
    assert sent[0]["status"] == 500
    assert b"secret" not in sent[1]["body"]


def test_memory_that_runs_out_in_a_route_is_a_503() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise MemoryError

    call, told, sent, _ = wrapped(app)
    asyncio.run(call())  # type: ignore[arg-type]
    assert [record.status for record in told] == [503]
    assert (sent[0]["status"], b"out_of_memory" in sent[1]["body"]) == (503, True)


def test_an_error_after_the_response_has_begun_ends_the_connection_and_is_told_once() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise KeyError("secret")

    call, told, sent, _ = wrapped(app)
    with pytest.raises(KeyError):
        asyncio.run(call())  # type: ignore[arg-type]
    assert [(record.status, record.bytes_out) for record in told] == [(500, 4)]
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


def test_an_error_after_the_last_of_the_response_is_not_told_again() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"all"})
        raise KeyError("late")

    call, told, _, _ = wrapped(app)
    with pytest.raises(KeyError):
        asyncio.run(call())  # type: ignore[arg-type]
    assert [record.status for record in told] == [200]


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_is_read_no_further(declared: bool) -> None:
    async def run() -> None:
        client = Client(*[body(b"aaaa", more=True)] * 5)
        headers = [(b"content-length", b"20")] if declared else []
        scope: Scope = {"type": "http", "headers": headers,
                        "state": {"record": RequestRecord("id", "POST")}}  # fmt: skip

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            for _ in range(2):  # asked again, it says so again
                with pytest.raises(ImageTooLarge):
                    while True:
                        await receive()

        await BodyLimit(app, 10)(scope, client.receive, client.receive)  # type: ignore[arg-type]
        assert client.messages.qsize() == (5 if declared else 2)

    asyncio.run(run())


def test_head_has_the_headers_of_get_and_no_body() -> None:
    seen: list[str] = []
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["method"])
        await send({"type": "http.response.start", "status": 503, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b"body"})

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "HEAD"}
    asyncio.run(HeadAsGet(app)(scope, Client().receive, send))  # type: ignore[arg-type]
    assert (seen, scope["method"]) == (["GET"], "HEAD")
    assert (sent[0]["status"], sent[1]["body"]) == (503, b"")


def test_a_500_can_be_read_by_a_page_of_an_allowed_origin() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("secret")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    origin = (b"origin", b"https://a.example")
    state = {"record": RequestRecord("id", "POST"), "request_id": "id"}
    scope: Scope = {"type": "http", "method": "POST", "headers": [origin], "state": state}
    stack = Cors(Failures(app), allow_origins=["https://a.example"])
    asyncio.run(stack(scope, Client().receive, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 500
    assert dict(sent[0]["headers"])[b"access-control-allow-origin"] == b"https://a.example"


@pytest.mark.parametrize("origins", ["https://a.example", ""])
def test_failures_stand_inside_of_cors(origins: str) -> None:
    """The order of what wraps a request, from the outside in."""
    settings = Settings(_env_file=None, cors_origins=origins, api_keys="0" * 64)
    app = create_app(settings)
    app.state.service.close()
    order = [middleware.cls.__name__ for middleware in app.user_middleware]  # type: ignore[attr-defined]
    cors = ["Cors"] if origins else []
    assert order == [
        "RequestId",
        "HeadAsGet",
        "RequestTelemetry",
        "ResponseHeaders",
        *cors,
        "Failures",
        "ApiKeys",
        "BodyLimit",
    ]
