"""What the clients try again, after which pause, and the error that they raise in the end."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from face_service_client import (
    Client,
    ConnectionFailed,
    DeadlinePassed,
    FaceServiceError,
    InferenceFailed,
    InvalidImage,
    InvalidRequest,
    NotReady,
    Overloaded,
    Refused,
    Retry,
    TimedOut,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    retry,
)
from tests.server import free_port

from .conftest import Connect
from .misbehaving import Misbehaving

AT_ONCE = Retry(base=0)
"""Pauses of nothing but Retry-After."""


def test_retry_after_in_seconds_is_waited_for(
    connect: Connect, misbehaving: Misbehaving, pauses: list[float]
) -> None:
    url, seen = misbehaving.script("busy")
    assert connect(url, retry=AT_ONCE).detect(b"image").faces
    assert len(seen) == 2
    assert pauses == [0, 1]


def test_retry_after_as_a_date_is_waited_for(
    connect: Connect, misbehaving: Misbehaving, pauses: list[float]
) -> None:
    url, _ = misbehaving.script("busy-until-a-date")
    connect(url, retry=AT_ONCE).detect(b"image")
    assert pauses == [0, 3], "held against the server's clock, which is an hour wrong"


def test_pauses_grow_and_are_any_part_of_that(
    connect: Connect, misbehaving: Misbehaving, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return high / 2

    monkeypatch.setattr(random, "uniform", uniform)
    url, seen = misbehaving.script("always-busy")
    with pytest.raises(Overloaded) as caught:
        connect(url, retry=Retry(attempts=6, base=0.25, cap=1.5)).detect(b"image")
    assert bounds[:5] == [(0, 0.25), (0, 0.5), (0, 1), (0, 1.5), (0, 1.5)]
    assert pauses == [0, 0.125, 0.25, 0.5, 0.75, 0.75]
    assert len(seen) == caught.value.attempts == 6
    assert len({one.headers["X-Request-ID"] for one in seen}) == 1, "one call, one id"


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(
    ("script", "attempts"),
    [
        ("not-ready-then-well", 2),
        ("each-once", 5),
        ("reset-while-reading", 2),
        ("reset-while-answering", 2),
        ("hang-up-while-answering", 2),
    ],
)
def test_what_may_pass_is_tried_again(
    connect: Connect, misbehaving: Misbehaving, script: str, attempts: int, tmp_path: Path
) -> None:
    image = tmp_path / "frame.jpg"
    image.write_bytes(os.urandom(700_000))
    url, seen = misbehaving.script(script)
    assert connect(url).detect(image).faces
    assert len(seen) == attempts
    assert seen[-1].received > 700_000, "the file from its beginning"


WILL_NOT_PASS = {
    "no-image": (InvalidImage, 400, "invalid_image"),
    "bad-request": (InvalidRequest, 400, "invalid_request"),
    "no-key": (Unauthorized, 401, "unauthorized"),
    "not-found": (Refused, 404, "not_found"),
    "too-large": (TooLarge, 413, "too_large"),
}


@pytest.mark.parametrize("script", WILL_NOT_PASS)
def test_what_will_not_pass_is_not_tried_again(
    connect: Connect, misbehaving: Misbehaving, pauses: list[float], script: str
) -> None:
    kind, status, code = WILL_NOT_PASS[script]
    url, seen = misbehaving.script(script)
    with pytest.raises(Refused) as caught:
        connect(url).detect(b"image", request_id="mine")
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.request_id) == (status, code, "mine")
    assert error.detail == f"Scripted {status}"
    assert str(error) == f"Scripted {status} ({status} {code}, request mine, sent once)"
    assert len(seen) == error.attempts == len(pauses) == 1


MAY_PASS = {
    "always-busy": (Overloaded, 429, "overloaded"),
    "failing": (InferenceFailed, 500, "inference_failed"),
    "late": (DeadlinePassed, 504, "deadline_passed"),
}


@pytest.mark.parametrize("script", MAY_PASS)
def test_the_last_error_is_raised_when_attempts_are_used_up(
    connect: Connect, misbehaving: Misbehaving, script: str
) -> None:
    url, seen = misbehaving.script(script)
    with pytest.raises(Unavailable) as caught:
        connect(url, retry=Retry(attempts=3, base=0)).detect(b"image")
    error = caught.value
    assert (type(error), error.status, error.code) == MAY_PASS[script]
    assert error.note == ""
    assert len(seen) == error.attempts == 3


AWAY = {
    "proxy-without-backend": (Unavailable, 502, "http_502"),
    "not-ready": (NotReady, 503, "not_ready"),
}


@pytest.mark.parametrize("script", AWAY)
def test_a_service_that_is_away_is_waited_for_until_the_deadline(
    connect: Connect, misbehaving: Misbehaving, script: str
) -> None:
    url, seen = misbehaving.script(script)
    with pytest.raises(FaceServiceError) as caught:
        connect(url, retry=Retry(attempts=2, base=0), deadline=3).detect(b"image")
    error = caught.value
    missed = error.attempts - len(seen)
    if isinstance(error, TimedOut):  # within the last attempt, which the server may not have seen
        assert missed in (0, 1)
    else:
        assert (type(error), error.status, error.code) == AWAY[script]
        assert "deadline of 3 s" in error.note
        assert missed == 0
    assert error.attempts > 2


@pytest.mark.parametrize("script", AWAY)
def test_who_wants_one_attempt_waits_for_nobody(
    connect: Connect, misbehaving: Misbehaving, script: str
) -> None:
    url, seen = misbehaving.script(script)
    with pytest.raises(Unavailable):
        connect(url, retry=Retry(attempts=1)).detect(b"image")
    assert len(seen) == 1


@pytest.mark.parametrize("script", ["somebody-else", "somebody-elses-404"])
def test_a_page_of_somebody_else_is_named(
    connect: Connect, misbehaving: Misbehaving, script: str
) -> None:
    url, seen = misbehaving.script(script)
    with pytest.raises(UnexpectedAnswer, match="nginx"):
        connect(url).detect(b"image")
    assert len(seen) == 1


def test_nobody_there(
    connect: Connect, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that pauses alone move: how fast the machine is decides nothing."""
    monkeypatch.setattr(retry, "time", SimpleNamespace(monotonic=lambda: sum(pauses)))
    client = connect(f"http://127.0.0.1:{free_port()}", retry=Retry(attempts=2), deadline=5)
    with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1") as caught:
        client.detect(iter([b"image"]))
    assert caught.value.attempts == len(pauses) >= 3, "nothing of the iterator was read"
    assert all(pause >= 0.1 for pause in pauses[1:])
    assert caught.value.status is None
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    assert client.ready() is False


def test_an_error_survives_pickling(misbehaving: Misbehaving) -> None:
    url, _ = misbehaving.script("no-key")
    with Client(url) as client, pytest.raises(Unauthorized) as caught:
        client.detect(b"image")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), vars(again)) == (Unauthorized, vars(caught.value))


def test_attempts_are_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Retry(attempts=0)
