"""What wraps the handler of a route: admission, deadline, a client that leaves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from fastapi import Request, Response

from face_service.errors import DeadlinePassed, Overloaded, RequestError
from face_service.observability.request_record import CLIENT_GONE
from face_service.routes.admitted_route import expected_size, run_until_deadline
from face_service.serving.admission import Admission
from tests.http.client import LEFT, Client, body

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


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
