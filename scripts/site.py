"""What mkdocs is told beyond mkdocs.yml: links and files as GitHub has them.

The pages are written for GitHub, where README.md links to docs/api.md and docs/api.md to
../README.md. Here the files beside docs/ become pages, and links follow.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
BESIDE = {
    "README.md": "readme.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "platform/README.md": "platform.md",
}
"""Pages from outside docs/, by their place on the site."""
DECISIONS = "decisions/index.md"
ITEM = re.compile(r"[-*] |\d+\. ")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from beside docs/, the list of decisions, and the licence."""
    for name, place in BESIDE.items():
        files.append(File.generated(config, place, content=(ROOT / name).read_text()))
    files.append(File.generated(config, DECISIONS, content=list_of_decisions()))
    files.append(File.generated(config, "LICENSE", content=(ROOT / "LICENSE").read_text()))
    return files


def list_of_decisions() -> str:
    """A page with a link to each decision."""
    text = "# Decisions\n\nQuestion, choice, price, what would change it; then the evidence.\n\n"
    for page in sorted((ROOT / "docs/decisions").glob("[0-9]*.md")):
        title = page.read_text().partition("\n")[0].removeprefix("# ")
        text += f"- [{title}](docs/decisions/{page.name})\n"
    return text


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn what holds in the repository, on GitHub, into what holds on the site."""
    return set_lists_apart(move_links(markdown, page.file.src_uri))


def move_links(markdown: str, place: str) -> str:
    """Links relative to the file in the repository become relative to its place on the site."""
    beside = {DECISIONS: "", **{there: name for name, there in BESIDE.items()}}
    here = PurePosixPath(beside.get(place, f"docs/{place}")).parent

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(here / link[1])
        target = BESIDE.get(target, target.removeprefix("docs/"))
        target = DECISIONS if target == "decisions" else target
        return posixpath.relpath(target, posixpath.dirname(place) or ".")

    return LINK.sub(moved, markdown)


def set_lists_apart(markdown: str) -> str:
    """An empty line before a list right below a paragraph, which GitHub does without."""
    lines: list[str] = []
    code = inside = False
    for line in markdown.splitlines():
        code ^= line.lstrip().startswith("```")
        item = not code and ITEM.match(line)
        if item and not inside and lines and lines[-1]:
            lines.append("")
        inside = bool(line) and (inside or bool(item))
        lines.append(line)
    return "\n".join(lines)
