"""Modules import one another in one direction, within a folder too (between folders import-linter
says which); programs that no test runs, the studies above all, import names that are there."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
OURS = ("face_service", "benchmarks", "tests")


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of each `from module import name` of ours, also those within functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in OURS:
            assert node.module and not node.level
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("folder", ["benchmarks", "benchmarks/studies"])
def test_names_that_are_imported_exist(folder: str) -> None:
    names = {(path.name, *each) for path in (ROOT / folder).glob("*.py") for each in imported(path)}
    assert names
    absent = [
        f"{file}: from {module} import {name}"
        for file, module, name in sorted(names)
        if not is_there(module, name)
    ]
    assert not absent


def is_there(module: str, name: str) -> bool:
    """Whether a module has a name, or a module of that name in it."""
    try:
        if hasattr(importlib.import_module(module), name):
            return True
        importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError as error:
        return (error.name or "").partition(".")[0] not in OURS
    return True


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = grimp.build_graph("face_service", cache_dir=None)
    imports = {one: graph.find_modules_directly_imported_by(one) for one in graph.modules}
    assert sum(map(len, imports.values())) > 1000
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        raise AssertionError(f"a circle: {' <- '.join(error.args[1])}") from None
