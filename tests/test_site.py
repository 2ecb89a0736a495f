"""The documentation builds as a site that is whole and asks nobody else for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FETCHED = {"src", "srcset", "data", "poster", "action", "formaction", "background"}
"""Attributes that make a browser ask for something, and `href` of a link (not of an anchor)."""
ELSEWHERE = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"(?:url\(|@import)\s*['\"]?\s*(?:[a-z]+:)?//", re.IGNORECASE)
BESIDE = [
    "readme",
    "architecture",
    "changelog",
    "contributing",
    "security",
    "platform",
    "decisions",
]
NOT_PROSE = {"code", "pre", "script", "style"}


class Page(HTMLParser):
    """What a page of the site fetches, where it leads, and its prose."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.classes: set[str] = set()
        self.prose = ""
        self._depth = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._depth += tag in NOT_PROSE
        for name, value in attrs:
            if name in FETCHED or (name == "href" and tag != "a"):
                self.fetched.append(value or "")
            elif name == "class":
                self.classes.update((value or "").split())

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag in NOT_PROSE

    def handle_data(self, data: str) -> None:
        self.prose += "" if self._depth else data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The site, built as it would be published: a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    yield folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """Every page, by its place."""
    return {
        str(path.relative_to(site)): Page(path.read_text()) for path in sorted(site.rglob("*.html"))
    }


def test_every_page_of_the_repository_is_there(pages: dict[str, Page]) -> None:
    expected = {
        str(path.relative_to(ROOT / "docs").with_suffix("") / "index.html")
        for path in (ROOT / "docs").rglob("*.md")
    }
    beside = {f"{name}/index.html" for name in BESIDE}
    assert set(pages) == (expected | beside | {"index.html", "404.html"}) - {"index/index.html"}


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[str, Page]) -> None:
    asked = {
        (place, address)
        for place, page in pages.items()
        for address in page.fetched
        if ELSEWHERE.match(address)
    }
    assert asked == set()
    for path in (*site.rglob("*.css"), *site.rglob("*.html"), *site.rglob("*.svg")):
        assert not IN_STYLE.search(path.read_text()), path


def test_scripts_have_no_reason_to_fetch_anything(site: Path, pages: dict[str, Page]) -> None:
    """The theme's script would: Mermaid for diagrams, figures of a repository, a shim for pages
    opened as files. Nothing on the pages makes it."""
    for place, page in pages.items():
        assert not page.classes & {"mermaid", "md-source"}, place
        html = (site / place).read_text()
        assert '"repo' not in html
        assert "iframe-worker" not in html


def test_what_is_fetched_is_there(site: Path, pages: dict[str, Page]) -> None:
    for place, page in pages.items():
        for address in page.fetched:
            path = address.partition("?")[0].partition("#")[0]
            if path and not path.startswith(("data:", "/")):
                assert (site / place).parent.joinpath(path).exists(), (place, address)


def test_markdown_means_here_what_it_means_on_github(pages: dict[str, Page]) -> None:
    for place, page in pages.items():
        left = re.search(r"```|\*\*|\]\(|^ *- .*|\| *---.*", page.prose, re.MULTILINE)
        assert not left, (place, left)


def test_light_and_dark(pages: dict[str, Page], site: Path) -> None:
    html = (site / "index.html").read_text()
    for scheme, preference in (("default", "light"), ("slate", "dark")):
        assert re.search(
            rf'data-md-color-media="\(prefers-color-scheme: {preference}\)" '
            rf'data-md-color-scheme="{scheme}"',
            html,
        )


def test_search_knows_the_pages(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text()
    for words in ("Troubleshooting", "Going on", "halfvec_cosine_ops"):
        assert words in index
