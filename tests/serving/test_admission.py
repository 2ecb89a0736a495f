"""Room for so many requests and so many bytes, given out fairly and given back always."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from face_service.errors import Overloaded
from face_service.serving.admission import SLOW_BYTES_PER_S, Admission, Place
from face_service.serving.budget import Budget


def test_one_more_than_the_limit_is_turned_away_and_room_comes_back() -> None:
    admission = Admission(2)
    with admission.admit():
        with admission.admit():
            with pytest.raises(Overloaded) as caught, admission.admit():
                pass
            assert caught.value.retry_after == 1
        with admission.admit():
            assert admission.inside == 2
    assert admission.inside == 0


def test_a_failing_request_gives_its_room_back() -> None:
    admission = Admission(1)
    with pytest.raises(ValueError), admission.admit():
        raise ValueError
    with admission.admit():
        pass


@pytest.mark.parametrize(
    ("inside", "seconds", "expected"), [(10, 0.0, 1), (10, 1.0, 5), (1000, 9.0, 60)]
)
def test_retry_after_follows_the_queue(inside: int, seconds: float, expected: int) -> None:
    admission = Admission(inside)
    admission.record_service_time(seconds)
    with ExitStack() as stack:
        for _ in range(inside):
            stack.enter_context(admission.admit())
        assert admission.retry_after() == expected


def test_drained_means_nobody_is_inside() -> None:
    async def run() -> list[str]:
        admission, events = Admission(2), []

        async def request() -> None:
            with admission.admit():
                await asyncio.sleep(0.01)
                events.append("answered")

        requests = [asyncio.create_task(request()) for _ in range(2)]
        await asyncio.sleep(0)
        await admission.wait_idle()
        events.append("emptied")
        await asyncio.gather(*requests)
        return events

    assert asyncio.run(run()) == ["answered", "answered", "emptied"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.integers(0, 3), st.one_of(st.none(), st.integers(0, 4))),
        max_size=25,
    )
)
def test_the_budget_is_never_exceeded_and_always_returned(
    holders: Sequence[tuple[int, int, int | None]],
) -> None:
    """Each holder: how much, for how many rounds of the loop, cancelled after how many."""

    async def run() -> None:
        budget, order = Budget(10), []

        async def hold(number: int, amount: int, rounds: int) -> None:
            await budget.acquire(amount)
            try:
                order.append(number)
                assert budget.held <= max(budget.size, amount)
                for _ in range(rounds):
                    await asyncio.sleep(0)
            finally:
                budget.release(amount)

        async def cancel(task: asyncio.Task[None], rounds: int) -> None:
            for _ in range(rounds):
                await asyncio.sleep(0)
            task.cancel()

        tasks = [
            asyncio.create_task(hold(number, amount, rounds))
            for number, (amount, rounds, _) in enumerate(holders)
        ]
        cancels = [
            asyncio.create_task(cancel(tasks[number], after))
            for number, (_, _, after) in enumerate(holders)
            if after is not None
        ]
        await asyncio.wait_for(asyncio.gather(*tasks, *cancels, return_exceptions=True), 10)
        assert order == sorted(order), "somebody was overtaken"
        assert budget.held == 0
        for task in tasks:
            assert task.cancelled() or task.exception() is None

    asyncio.run(run())


def test_what_is_larger_than_the_budget_goes_alone() -> None:
    async def run() -> list[int]:
        budget, seen = Budget(10), []
        await budget.acquire(3)
        large, small = (asyncio.create_task(budget.acquire(amount)) for amount in (11, 1))
        await asyncio.sleep(0)
        seen.append(budget.held)
        budget.release(3)
        await large
        await asyncio.sleep(0)
        seen.append(budget.held)
        budget.release(11)
        await small
        return [*seen, budget.held]

    assert asyncio.run(asyncio.wait_for(run(), 10)) == [3, 11, 1]


def test_a_budget_that_shrinks_keeps_nobody_waiting_for_ever() -> None:
    """Where an accelerator's engine is replaced by one on the CPU, fewer images are decoded."""

    async def run() -> None:
        budget = Budget(40)
        await budget.acquire(40)
        waiting = asyncio.create_task(budget.acquire(16))
        await asyncio.sleep(0)
        budget.size = 4
        budget.release(40)
        assert await waiting

    asyncio.run(asyncio.wait_for(run(), 10))


def test_bodies_have_a_budget_and_give_back_what_they_did_not_need() -> None:
    admission = Admission(10, max_body_bytes=100)
    with admission.admit(60) as place:
        with pytest.raises(Overloaded, match="bodies"), admission.admit(60):
            pass
        place.received = 20
        place.body_read()
        place.body_read()
        with admission.admit(60), admission.admit(20):
            assert admission.body_bytes == 100
    assert (admission.inside, admission.body_bytes) == (0, 0)


def aged(place: Place, seconds: float, received: int) -> Place:
    place.since -= seconds
    place.received = received
    return place


def test_slow_uploads_give_way_slowest_first_and_no_more_than_needed() -> None:
    admission, lost = Admission(4, max_body_bytes=100), list[str]()
    with ExitStack() as stack:
        for name, seconds, received in (
            ("young", 1, 0),
            ("fast", 10, 20 * SLOW_BYTES_PER_S),
            ("slow", 10, 1000),
            ("slowest", 10, 1),
        ):
            place = aged(stack.enter_context(admission.admit(25)), seconds, received)
            place.on_evicted = partial(lost.append, name)
        stack.enter_context(admission.admit(25))
        assert lost == ["slowest"]
        with pytest.raises(Overloaded), admission.admit(100):
            pass
        assert lost == ["slowest"], "nobody loses a place for nothing"
        stack.enter_context(admission.admit(25))
        assert lost == ["slowest", "slow"]
        with pytest.raises(Overloaded), admission.admit(0):
            pass
        assert (admission.inside, admission.body_bytes) == (4, 100)
    assert (admission.inside, admission.body_bytes) == (0, 0)


def test_a_body_that_is_there_is_not_slow_however_long_it_waits() -> None:
    admission = Admission(1)
    with admission.admit(5) as place:
        aged(place, 60, 5).body_read()
        with pytest.raises(Overloaded), admission.admit():
            pass
