"""What wraps a request, at the moments that a socket does not hit: a `receive` made for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from fastapi import Request, Response
from starlette.types import Message, Receive, Scope, Send

from face_service.app import create_app
from face_service.config import Settings
from face_service.errors import DeadlinePassed, ImageTooLarge, Overloaded, RequestError
from face_service.http.body_limit import BodyLimit
from face_service.http.cors import Cors
from face_service.http.errors import Failures
from face_service.http.head import HeadAsGet
from face_service.http.telemetry import RequestTelemetry
from face_service.observability.request_record import CLIENT_GONE, RequestRecord
from face_service.routes.admitted_route import expected_size, run_until_deadline
from face_service.serving.admission import Admission

LEFT: Message = {"type": "http.disconnect"}
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


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


def attended(
    handle: Handler, client: Client, seconds: float = 5, admission: Admission | None = None
) -> Coroutine[Any, Any, Response]:
    """`run_until_deadline` as `AdmittedRoute` calls it."""
    request = Request({"type": "http", "method": "POST", "headers": []}, client.receive)

    async def run() -> Response:
        with (admission or Admission(10)).admit(100) as place:
            return await run_until_deadline(request, handle, seconds, place)

    return run()


def alone(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run, and leave no task behind."""

    async def checked() -> None:
        await run()
        assert asyncio.all_tasks() == {asyncio.current_task()}, "something goes on"

    asyncio.run(checked(), debug=True)


def test_the_answer_of_a_handler_is_the_answer() -> None:
    async def run() -> None:
        async def handle(request: Request) -> Response:
            return Response(await request.body())

        response = await attended(handle, Client(body(b"ab", more=True), body(b"c")))
        assert (response.status_code, response.body) == (200, b"abc")

    alone(run)


@pytest.mark.parametrize("first", ["answer", "left"])
def test_a_client_that_leaves_in_the_tick_of_its_answer(first: str) -> None:
    async def run() -> None:
        client, ready = Client(body(b"")), asyncio.Event()

        async def handle(request: Request) -> Response:
            await request.body()
            await ready.wait()
            return Response("answer")

        work = asyncio.create_task(attended(handle, client))
        await asyncio.sleep(0.01)
        for event in ("answer", "left") if first == "answer" else ("left", "answer"):
            ready.set() if event == "answer" else client.sends(LEFT)
        response = await work
        assert response.status_code in (200, CLIENT_GONE)
        if first == "left":
            assert response.status_code == CLIENT_GONE

    alone(run)


def test_a_handler_whose_client_leaves_in_the_middle_of_the_body_has_not_failed() -> None:
    async def run() -> None:
        async def handle(request: Request) -> Response:
            return Response(await request.body())

        response = await attended(handle, Client(body(b"ab", more=True), LEFT))
        assert response.status_code == CLIENT_GONE

    alone(run)


def test_a_client_that_leaves_cancels_what_waits() -> None:
    async def run() -> None:
        client, cancelled = Client(body(b"")), asyncio.Event()

        async def handle(request: Request) -> Response:
            await request.body()
            client.sends(LEFT)
            try:
                await asyncio.sleep(60)
            finally:
                cancelled.set()
            raise AssertionError

        response = await attended(handle, client)
        assert (response.status_code, cancelled.is_set()) == (CLIENT_GONE, True)

    alone(run)


def test_an_answer_in_the_tick_of_the_deadline_counts_and_no_answer_is_a_504() -> None:
    async def run() -> None:
        async def at_once(request: Request) -> Response:
            return Response("answer")

        async def never(request: Request) -> Response:
            await asyncio.sleep(60)
            raise AssertionError

        loop = asyncio.get_running_loop()
        ready = loop.create_future()

        async def at_the_deadline(request: Request) -> Response:
            loop.call_later(0.05, ready.set_result, None)
            await ready
            return Response("answer")

        assert (await attended(at_once, Client())).status_code == 200
        with pytest.raises(DeadlinePassed):
            await attended(never, Client(), 0.05)
        with contextlib.suppress(DeadlinePassed):  # the one or the other, and nothing left behind
            assert (await attended(at_the_deadline, Client(), 0.05)).status_code == 200

    alone(run)


def test_the_error_of_a_handler_is_raised() -> None:
    async def run() -> None:
        async def handle(request: Request) -> Response:
            await request.body()
            raise RequestError("no")

        with pytest.raises(RequestError, match="no"):
            await attended(handle, Client(body(b"")))

    alone(run)


def test_a_place_that_was_given_away_is_a_429_and_free_at_once() -> None:
    async def run() -> None:
        admission = Admission(1)

        async def handle(request: Request) -> Response:
            return Response(await request.body())

        client = Client(body(b"a", more=True))
        slow = asyncio.create_task(attended(handle, client, admission=admission))
        await asyncio.sleep(0.01)
        (place,) = admission._places
        assert (place.received, place.under_way, admission.bytes_held) == (1, True, 100)
        place.since -= 60
        response = await attended(handle, Client(body(b"b")), admission=admission)
        assert response.body == b"b"
        with pytest.raises(Overloaded, match="slowly"):
            await slow
        assert (admission.inside, admission.bytes_held) == (0, 0)

    alone(run)


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({"content-length": "7"}, 7),
        ({"content-length": "5000"}, 100),
        ({"transfer-encoding": "chunked"}, 100),
        ({}, 0),
    ],
    ids=["declared", "too large", "undeclared", "none"],
)
def test_the_size_of_a_body_is_known_before_it_is_read(headers: dict[str, str], size: int) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert expected_size(Request({"type": "http", "headers": raw}), 100) == size


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
