"""Waiting for what may never come."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from face_service.errors import FaceServiceError
from face_service.offline.patience import each_within


def test_what_comes_is_handed_on_to_its_end() -> None:
    assert list(each_within(range(5), 60, "it")) == [0, 1, 2, 3, 4]
    assert list(each_within([None, 0], 60, "it")) == [None, 0]


def test_what_is_raised_is_raised() -> None:
    def rows() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    found = each_within(rows(), 60, "it")
    assert next(found) == 1
    with pytest.raises(ValueError, match="broken"):
        next(found)


def test_who_says_nothing_is_not_waited_for() -> None:
    ended = threading.Event()

    def rows() -> Iterator[int]:
        yield 1
        ended.wait(60)

    found = each_within(rows(), 0.2, "Ray")
    assert next(found) == 1
    with pytest.raises(FaceServiceError, match=r"Ray has said nothing for 0\.2 s"):
        next(found)
    ended.set()
