"""Room for so many requests and bytes; what clients send or take in slowly gives way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TypeVar

import pytest

from face_service.errors import Overloaded
from face_service.serving.admission import SLOW_BYTES_PER_S, Admission, Transfer

Moving = TypeVar("Moving", bound=Transfer)


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


def test_bodies_have_a_budget_and_give_back_what_they_did_not_need() -> None:
    admission = Admission(10, max_bytes=100_000_000)
    with admission.admit(60_000_000) as place:
        place.received = 20_000_000
        with pytest.raises(Overloaded, match="bodies"), admission.admit(60_000_000):
            pass
        place.body_read()
        place.body_read()
        with admission.admit(60_000_000) as second:
            second.received = 60_000_000
            with admission.admit(20_000_000):
                assert admission.bytes_held == 100_000_000
    assert (admission.inside, admission.bytes_held) == (0, 0)


def aged(transfer: Moving, seconds: float, received: int) -> Moving:
    transfer.since -= seconds
    transfer.received = received
    return transfer


def test_slow_uploads_give_way_slowest_first_and_no_more_than_needed() -> None:
    admission, lost = Admission(16, max_bytes=1000), list[str]()
    with ExitStack() as stack:
        for _ in range(12):
            aged(stack.enter_context(admission.admit(75)), 60, 75).body_read()
        for name, seconds, received in (
            ("young", 1, 0),
            ("fast", 10, 20 * SLOW_BYTES_PER_S),
            ("slow", 10, 1000),
            ("slowest", 10, 1),
        ):
            place = aged(stack.enter_context(admission.admit(25)), seconds, received)
            place.on_evicted = partial(lost.append, name)
        aged(stack.enter_context(admission.admit(25)), 0, 1000)
        assert lost == ["slowest"]
        with pytest.raises(Overloaded), admission.admit(100):
            pass
        assert lost == ["slowest"], "nobody loses a place for nothing"
        aged(stack.enter_context(admission.admit(25)), 0, 1000)
        assert lost == ["slowest", "slow"]
        with pytest.raises(Overloaded), admission.admit(0):
            pass
        assert (admission.inside, admission.bytes_held) == (16, 1000)
    assert (admission.inside, admission.bytes_held) == (0, 0)


@pytest.mark.parametrize(("limit", "size"), [(64, 1), (1000, 8)], ids=["places", "bytes"])
def test_uploads_that_begin_anew_before_they_are_slow_keep_nobody_out(
    monkeypatch: pytest.MonkeyPatch, limit: int, size: int
) -> None:
    """64 clients send nothing, and connect anew whenever they are gone or 1.9 s old."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    admission = Admission(limit, max_bytes=64 * (size if limit > 64 else 100))

    @contextmanager
    def silent() -> Iterator[float]:
        with suppress(Overloaded), admission.admit(size):
            yield now
            return
        yield now

    with ExitStack() as stack:
        held = [stack.enter_context(silent()) for _ in range(64)]
        honest = None
        for step in range(100):
            now = step / 10
            if step == 15:
                honest = stack.enter_context(admission.admit(size))  # nobody refuses it
            if honest:
                honest.received = int((now - 1.5) * 2 * SLOW_BYTES_PER_S) + 1
                assert not honest.evicted, now
            for n, since in enumerate(held):
                if now - since >= 1.9 or step % 5 == 0:
                    held[n] = stack.enter_context(silent())
        assert honest


@pytest.mark.parametrize(
    ("limit", "kept"), [(1, 1), (2, 1), (3, 1), (4, 1), (8, 2), (64, 16)], ids=str
)
def test_clients_that_send_nothing_and_connect_anew_keep_one_place_or_a_quarter(
    monkeypatch: pytest.MonkeyPatch, limit: int, kept: int
) -> None:
    """Of a single place that is all; not for more than SLOW_AFTER_S without connecting anew."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    admission = Admission(limit)

    with ExitStack() as stack:
        silent = [stack.enter_context(admission.admit(1)) for _ in range(limit)]
        for now, left in ((1.9, kept), (2.1, 0)):  # noqa: B007 the clock reads it
            with suppress(Overloaded):
                for _ in range(limit + 1):
                    stack.enter_context(admission.admit()).body_read()
            assert sum(not place.evicted for place in silent) == left


def test_an_upload_that_begins_has_time_while_the_service_is_busy() -> None:
    """Its first packet is on its way; who comes next gets the 429."""
    admission = Admission(8)
    with ExitStack() as stack:
        for _ in range(7):
            stack.enter_context(admission.admit()).body_read()
        young = aged(stack.enter_context(admission.admit(5)), 0.5, 0)
        with pytest.raises(Overloaded), admission.admit():
            pass
        assert not young.evicted


def reader(admission: Admission, size: int, seconds: float = 0, received: int = 0) -> Transfer:
    answer = Transfer()
    admission.hold_answer(answer, size)
    return aged(answer, seconds, received)


def test_answers_count_and_slow_readers_give_way_to_bodies() -> None:
    admission = Admission(4, max_bytes=100)
    slow = reader(admission, 20, 10, 1000)
    slowest = reader(admission, 30, 10, 10)
    steady = reader(admission, 40, 10, 11 * SLOW_BYTES_PER_S)
    with admission.admit(10) as place:
        place.received = SLOW_BYTES_PER_S
        assert not slowest.evicted, "where nobody needs it, slow readers have their time"
        assert admission.bytes_held == 100
        with admission.admit(10):
            assert (slowest.evicted, slow.evicted) == (True, False)
            with pytest.raises(Overloaded, match="answers"), admission.admit(70):
                pass
            assert not slow.evicted, "nobody is cut off for nothing"
    assert not steady.evicted
    for answer in (slow, slowest, steady):
        admission.hold_answer(answer, 0)
    assert admission.bytes_held == 0


def test_slow_readers_give_way_to_answers_and_steady_ones_never_do() -> None:
    admission = Admission(4, max_bytes=100)
    slow = [reader(admission, 30, 10, received) for received in (100, 10)]
    steady = [reader(admission, 20, 10, 11 * SLOW_BYTES_PER_S) for _ in range(2)]
    assert admission.bytes_held == 100
    steady.append(reader(admission, 20))
    assert [one.evicted for one in slow] == [False, True]
    steady.append(reader(admission, 100))
    assert [one.evicted for one in slow] == [True, True]
    assert not any(one.evicted for one in steady)
    assert admission.bytes_held == 160, "an answer is never turned away"
    for size in (0, 1):
        with pytest.raises(Overloaded, match="answers"), admission.admit(size):
            pass


def test_who_has_read_fast_may_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    admission = Admission(4, max_bytes=100)
    answer = reader(admission, 100, received=1000 * SLOW_BYTES_PER_S)
    for seconds in (20.0, 25.0):
        now = seconds
        assert not answer.evicted
        with suppress(Overloaded), admission.admit(50):
            pass
    assert answer.evicted


def test_a_full_queue_takes_no_bytes_of_readers() -> None:
    admission = Admission(1, max_bytes=100)
    slow = reader(admission, 50, 10)
    with admission.admit() as place:
        place.body_read()
        with pytest.raises(Overloaded, match="requests"), admission.admit():
            pass
    assert not slow.evicted


def test_a_body_that_is_there_is_not_slow_however_long_it_waits() -> None:
    admission = Admission(1)
    with admission.admit(5) as place:
        aged(place, 60, 5).body_read()
        with pytest.raises(Overloaded), admission.admit():
            pass
