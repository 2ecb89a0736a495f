"""The samples of the documentation: blocks of code, and the commands in them."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NO_PAGES = {
    *(".arm64", ".deployment", ".git", ".openvino", ".oracle", ".platform", ".ray", ".tools"),
    *(".venv", "node_modules", "site"),
}
"""Folders whose pages are others', or made."""


def pages() -> Iterator[Path]:
    """Every page of the project, README.md first."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(set(folders) - NO_PAGES)
        for name in sorted(names, key=lambda name: (name != "README.md", name)):
            if name.endswith(".md"):
                yield Path(folder) / name


PAGES = list(pages())
BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>\S*)\n(?P<code>.*?)^(?P=indent)```$"
    r"(?:\n\n(?P=indent)```text\n(?P<output>.*?)^(?P=indent)```$)?",
    re.MULTILINE | re.DOTALL,
)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Sample:
    """A block of code; `output` is the block of text right after it: what it prints."""

    page: str
    line: int
    language: str
    code: str
    output: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def samples(*languages: str) -> list[Sample]:
    """The blocks in these languages, or in any if none is named, page by page, in order."""
    return [
        Sample(
            str(page.relative_to(ROOT)),
            text.count("\n", 0, block.start()) + 1,
            block["language"],
            textwrap.dedent(block["code"]),
            textwrap.dedent(block["output"] or ""),
        )
        for page in PAGES
        for text in [page.read_text()]
        for block in BLOCK.finditer(text)
        if not languages or block["language"] in languages
    ]


def inline() -> list[Sample]:
    """What stands between single backticks, page by page, in order."""
    return [
        Sample(str(page.relative_to(ROOT)), text.count("\n", 0, each.start()) + 1, "", each[1], "")
        for page in PAGES
        for text in [BLOCK.sub(lambda block: "\n" * block[0].count("\n"), page.read_text())]
        for each in INLINE.finditer(text)
    ]


def commands(script: str) -> list[str]:
    """The commands of a shell script, whole, each with the comments before it. Last, the
    comments after all of them."""
    found = [""]
    for line in script.splitlines(keepends=True):
        found[-1] += line
        if is_whole(found[-1]) and re.sub(r"^\s*#.*", "", found[-1], flags=re.MULTILINE).strip():
            found.append("")
    return found


@functools.cache  # a shell is started for each line, and each test asks for all of them
def is_whole(script: str) -> bool:
    """Whether a shell would run it, rather than wait for the end of a line or a quotation."""
    checked = subprocess.run(["bash", "-n", "-c", script], capture_output=True)
    return not script.endswith("\\\n") and checked.returncode == 0 and not checked.stderr
