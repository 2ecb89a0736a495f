"""The glossary: short, a word to avoid for each, and names in the package that keep to it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src/face_service"
GLOSSARY = (ROOT / "docs/glossary.md").read_text()
MAX_WORDS = 25
MAX_LINES = 320


def gone(label: str) -> set[str]:
    """The names that the glossary lists behind `label`, in lower case."""
    found = re.search(rf"^- {label}: ([\w,\s]+)\.$", GLOSSARY, re.MULTILINE)
    assert found, f"the glossary lists no {label}"
    return set(re.split(r",\s+", found[1]))


WORDS, NAMES = gone("Words within names"), gone("Names")


def names(source: str) -> Iterator[str]:
    """The names that a module gives: of classes, functions, parameters, variables, attributes."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ClassDef(name) | ast.FunctionDef(name) | ast.AsyncFunctionDef(name):
                yield name
            case ast.arg(name) | ast.Attribute(attr=name):
                yield name
            case ast.Name(name, ast.Store()):
                yield name


def words(name: str) -> set[str]:
    """The words of a name in lower case, in the singular too: `EngineWorkers`, `max_lanes`."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return {form for part in parts for form in (part.lower(), part.lower().removesuffix("s"))}


def is_gone(name: str) -> bool:
    return bool(words(name) & WORDS) or name.strip("_").lower() in NAMES


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_a_module_is_short_and_its_names_are_those_of_the_glossary(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= MAX_LINES
    assert sorted(filter(is_gone, [path.stem, *names(source)])) == []


@pytest.mark.parametrize(
    "source",
    [
        "class LaneWorker: ...",
        "MAX_JOBS = 3",
        "def f(setup): ...",
        "def faces_of(): ...",
        "self._keepers = 1",
        "for one_view in (): ...",
    ],
)
def test_a_name_that_is_gone_is_found(source: str) -> None:
    assert list(filter(is_gone, names(source)))


def test_the_glossary_is_short_and_each_of_its_words_has_one_to_avoid() -> None:
    rows = re.findall(r"^\| \*\*.*\|$", GLOSSARY, re.MULTILINE)
    assert 0 < len(rows) <= MAX_WORDS
    assert [row for row in rows if row.count("|") != 4 or not row.split("|")[3].strip()] == []
