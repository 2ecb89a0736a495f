"""The table of README.md names tests that exist, and every case of this folder has its row."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.conftest import ROOT

CELL = re.compile(r"`([^`]+)`")
Case = tuple[str, str]
"""A test, and a parameter of it or nothing: `hostile/test_x.py::test_y`, `png`."""


def cases_in(table: str) -> list[Case]:
    """What the last column names, row by row. A test without a parameter stands for all."""
    cases: list[Case] = []
    for line in table.splitlines():
        cells = line.rstrip().rstrip("|").split(" | ")
        if not line.startswith("| ") or "::" not in cells[-1]:
            continue
        named: list[tuple[str, list[str]]] = []
        for text in CELL.findall(cells[-1]):
            if text.startswith("["):
                named[-1][1].append(text[1:-1])
            else:
                named.append((text, []))
        cases += [
            (test, parameter) for test, parameters in named for parameter in parameters or [""]
        ]
    return cases


def names(case: Case, item: str) -> bool:
    """Whether a case is, or is part of, what pytest calls `item`. Where parameters are stacked,
    one of them is enough."""
    test, parameter = case
    if not parameter:
        return item == test or item.startswith((f"{test}[", f"{test}::"))
    return item.startswith(f"{test}[") and f"-{parameter}-" in f"-{item[len(test) + 1 : -1]}-"


def missing(cases: Iterable[Case], items: Iterable[str]) -> list[Case]:
    """Cases that no item is one of."""
    items = list(items)
    return [case for case in cases if not any(names(case, item) for item in items)]


def without_row(cases: Iterable[Case], items: Iterable[str]) -> list[str]:
    """Items that are in no case."""
    cases = list(cases)
    return [item for item in items if not any(names(case, item) for case in cases)]


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return cases_in((Path(__file__).parent / "README.md").read_text())


@pytest.fixture(scope="module")
def items(cases: list[Case], request: pytest.FixtureRequest) -> list[str]:
    """What pytest collects of the files that the table names, and of this folder: has collected,
    where it was asked for everything."""
    config = request.config
    chosen = config.option.keyword or config.option.markexpr or config.option.deselect
    if [Path(name).resolve() for name in config.args] == [ROOT / "tests"] and not chosen:
        return [item.nodeid.removeprefix("tests/") for item in request.session.items]
    files = {f"tests/{test.partition('::')[0]}" for test, _ in cases}
    paths = sorted({"tests/hostile", *files})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, *paths], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    return [line.removeprefix("tests/") for line in lines if "::" in line]


def test_every_test_in_the_table_exists(cases: list[Case], items: list[str]) -> None:
    assert missing(cases, items) == []


def test_every_case_here_has_its_row(cases: list[Case], items: list[str]) -> None:
    assert without_row(cases, [item for item in items if item.startswith("hostile/")]) == []


def test_what_is_missing_would_be_seen() -> None:
    cases = cases_in(
        "| Input | Holds | Test |\n|---|---|---|\n"
        "| a `quote` | yes | `a.py::one` `[x]` `[y 1]` `a.py::two` |\n"
    )
    assert cases == [("a.py::one", "x"), ("a.py::one", "y 1"), ("a.py::two", "")]
    items = ["a.py::one[x-1]", "a.py::one[2-y 1]", "a.py::two[z]"]
    assert (missing(cases, items), without_row(cases, items)) == ([], [])
    assert missing(cases, ["a.py::one[xx]", "a.py::two_more"]) == cases
    assert without_row(cases, ["a.py::one[z]", "a.py::three"]) == ["a.py::one[z]", "a.py::three"]
