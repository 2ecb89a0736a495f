"""Processes that crash, hang, or do not start: what becomes of items, without an engine."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

import psutil  # type: ignore[import-untyped]
import pytest

from face_service.engine_info import EngineInfo
from face_service.errors import StartupError
from face_service.offline import isolation
from face_service.offline.isolation import Processes
from face_service.offline.schema import Outcome
from tests.offline import children

INFO = EngineInfo("made-up", "", (), "a" * 64, 512, "fp32", None, None, (), 1)
Start = Callable[..., Processes]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes, and sees that none is left."""
    running: list[Processes] = []

    def start(
        count: int,
        serve: Any = children.serve,
        task: Any = pickle.dumps(INFO),
        timeout: float = 60,
    ) -> Processes:
        running.append(Processes(task, count, timeout, serve))
        return running[-1]

    yield start
    for each in running:
        with each:
            pass
    left = psutil.Process().children(recursive=True)
    assert not [child for child in left if "spawn_main" in " ".join(child.cmdline())]


def embed(processes: Processes, *items: str) -> Iterator[Any]:
    """What becomes of each: its word and how many its process had before, or the failure."""
    for each in processes.embed(cast(Any, items)):
        yield each.failure if isinstance(each, Outcome) else each


def words(found: Iterator[Any]) -> list[str]:
    """The word of each that was answered, the code of each that failed."""
    return [each[0] if isinstance(each, tuple) else each.code for each in found]


def test_every_item_has_its_own_outcome_in_order_whoever_crashes(start: Start) -> None:
    items = ["fine", "exit", "slow", "killed", "fine", "exit", "exit", "fine", "killed"] * 3
    found = list(embed(start(2), *items))
    how = {"exit": "status 9", "killed": "SIGKILL"}
    for item, each in zip(items, found, strict=True):
        if item in how:
            assert each.code == "crashed"
            assert how[item] in each.detail
        else:
            assert each[0] == item


def test_who_crashes_once_is_tried_again(start: Start, tmp_path: Path) -> None:
    (tmp_path / "once").touch()
    assert words(embed(start(1), f"once {tmp_path / 'once'}", "fine")) == ["once", "fine"]


def test_who_hangs_has_run_out_of_time_and_nobody_else(start: Start) -> None:
    items = ["fine", "hang", *["fine"] * 6, "hang", "fine"]
    expected = ["timed_out" if item == "hang" else item for item in items]
    assert words(embed(start(2, timeout=4), *items)) == expected


def test_time_in_which_nobody_asks_does_not_count(start: Start) -> None:
    """A part may take long to be written: who has answered meanwhile is not late."""
    found = embed(start(1, timeout=4), "fine", "fine", "fine")
    next(found)
    time.sleep(4.5)
    assert words(found) == ["fine", "fine"]


def test_no_more_is_begun_than_a_few_items_ahead(start: Start, tmp_path: Path) -> None:
    processes = start(2, timeout=4)
    processes.describe()
    found = embed(processes, "hang", *(f"touch {tmp_path / str(n)}" for n in range(40)))
    assert next(found).code == "timed_out"
    assert len([*tmp_path.iterdir()]) == isolation.AHEAD * 2 - 1


def test_a_call_that_was_left_leaves_nothing_to_the_next(start: Start) -> None:
    processes = start(2)
    assert words(islice(embed(processes, *["slow"] * 8), 1)) == ["slow"]
    assert words(embed(processes, *["fine"] * 4)) == ["fine"] * 4


def test_without_an_engine_nothing_begins(start: Start) -> None:
    with pytest.raises(StartupError, match="No engine could be loaded: the pack is broken"):
        start(2, children.without_engine).describe()
    with pytest.raises(StartupError, match="its process ended with status 7"):
        start(1, children.dying).describe()


def test_who_cannot_be_replaced_ends_the_run(start: Start, tmp_path: Path) -> None:
    task = (pickle.dumps(INFO), str(tmp_path / "first"))
    processes = start(1, children.dying_later, task)
    assert processes.describe() == INFO
    with pytest.raises(StartupError, match="its process ended with status 7"):
        list(embed(processes, "fine"))
