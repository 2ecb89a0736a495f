"""Calls at the same time."""

from __future__ import annotations

import threading
from typing import NoReturn

import pytest

from face_service.runtime.parallel import in_parallel


def fail() -> NoReturn:
    raise ValueError("one of them")


def test_all_run_at_once_and_answer_in_order() -> None:
    together = threading.Barrier(3)

    def call(number: int) -> int:
        together.wait(30)
        return number

    assert in_parallel([lambda number=number: call(number) for number in range(3)]) == [0, 1, 2]


@pytest.mark.parametrize("first", [True, False], ids=["the first", "another"])
def test_an_error_is_raised_once_all_have_ended(first: bool) -> None:
    ended = threading.Event()
    calls = [fail, ended.set] if first else [ended.set, fail]
    with pytest.raises(ValueError, match="one of them"):
        in_parallel(calls)
    assert ended.is_set()


def test_where_no_thread_can_be_started_the_caller_makes_every_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(_: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert in_parallel([lambda: 1, lambda: 2]) == [1, 2]
