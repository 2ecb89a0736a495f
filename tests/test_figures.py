"""Figures depend on the processor, whose class a page names; and are what commands printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from benchmarks import publish

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FIGURE = re.compile(
    r"^\|(.*\|)? (\*\*)?\d[\d.,]* ?(ms|µs|×|s)(\*\*)? \||^\|.*(requests/s|µs of CPU).* \|",
    re.MULTILINE,
)
NAMED = re.compile(r"[Pp]rocessor class(?: of the figures)?:? `[a-z0-9-]+`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_table_of_figures_names_the_processor(page: Path) -> None:
    """For all of it before its sections, or in each section that has such a table. A section is
    what stands between two headings of the second level."""
    head, *sections = re.split(r"^(?=## )", page.read_text(), flags=re.MULTILINE)
    if not NAMED.search(head):
        for section in (head, *sections):
            if FIGURE.search(section):
                assert NAMED.search(section), section[:200]


@pytest.mark.parametrize(
    "results",
    sorted(ROOT.glob("benchmarks/results/*/*.md")),
    ids=lambda f: f"{f.parent.name}-{f.stem}",
)
def test_results_name_it_first(results: Path) -> None:
    line = results.read_text().partition("\n")[0]
    assert NAMED.match(line)
    assert f"`{results.parent.name}`" in line


@pytest.mark.parametrize("page", publish.PAGES, ids=lambda page: page.stem)
def test_pages_hold_what_the_commands_printed(page: Path) -> None:
    """`python -m benchmarks.publish` would change nothing."""
    text = page.read_text()
    assert publish.PLACE.search(text)
    assert publish.PLACE.sub(publish.fill, text) == text
