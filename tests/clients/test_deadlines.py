"""No call of the clients takes longer than it may, whatever the server does."""

from __future__ import annotations

import math

import pytest

from face_service_client import Overloaded, Retry, TimedOut
from tests.wire import settled

from .conftest import Connect
from .misbehaving import Misbehaving

ONCE = Retry(attempts=1)


@pytest.mark.usefixtures("pauses")
def test_silence_is_a_timeout_and_tried_again(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("silence-then-well")
    assert connect(url, timeout=0.2).detect(b"image").faces
    assert len(seen) == 2
    settled(lambda: seen[0].left)


@pytest.mark.usefixtures("pauses")
def test_silence_to_the_end_is_timed_out(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("silence")
    with pytest.raises(TimedOut) as caught:
        connect(url, timeout=0.1, retry=Retry(attempts=2)).detect(b"image", request_id="mine")
    assert (caught.value.attempts, caught.value.request_id, len(seen)) == (2, "mine", 2)


@pytest.mark.parametrize("script", ["silence", "drip"])
def test_the_deadline_ends_a_call_in_the_middle(
    connect: Connect, misbehaving: Misbehaving, script: str
) -> None:
    url, seen = misbehaving.script(script)
    with pytest.raises(TimedOut):
        connect(url, deadline=0.3, retry=ONCE).detect(b"image")
    settled(lambda: seen[0].left)


def test_a_call_may_have_all_the_time_of_the_world(
    connect: Connect, misbehaving: Misbehaving
) -> None:
    url, _ = misbehaving.script("well")
    assert connect(url, timeout=math.inf, deadline=math.inf).detect(b"image").faces


def test_a_call_without_time_is_not_sent(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")
    with pytest.raises(TimedOut):
        connect(url, deadline=0).detect(b"image")
    assert not seen


def test_no_pause_is_longer_than_the_deadline(
    connect: Connect, misbehaving: Misbehaving, pauses: list[float]
) -> None:
    url, seen = misbehaving.script("busy-for-an-hour")
    with pytest.raises(Overloaded, match="deadline of 20 s") as caught:
        connect(url, deadline=20).detect(b"image")
    assert caught.value.attempts == len(seen) == len(pauses) == 1
