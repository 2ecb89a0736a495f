"""A bound on what is held: shared fairly, given back always."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from face_service.serving.budget import Budget


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


def test_those_behind_one_that_leaves_are_let_in_at_once() -> None:
    """Also where nothing is released for long."""

    async def run() -> None:
        budget = Budget(10)
        await budget.acquire(3)
        large, small = (asyncio.create_task(budget.acquire(amount)) for amount in (11, 1))
        await asyncio.sleep(0)
        large.cancel()
        assert await small
        assert budget.held == 4

    asyncio.run(asyncio.wait_for(run(), 10))
