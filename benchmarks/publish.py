"""Puts benchmarks/results/CLASS/NAME.md between `<!-- NAME -->` and `<!-- /NAME -->` of the docs.

    .venv/bin/python -m benchmarks.publish

So no figure is typed: what the commands printed is what the pages say, on each class of processors
one after the other.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.kept import printed

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / f"docs/{name}.md" for name in ("performance-measured", "quality-measured", "reliability")
]
PLACE = re.compile(r"(<!-- (?P<name>[\w-]+) -->\n).*?(<!-- /(?P=name) -->)", re.DOTALL)


def fill(place: re.Match[str]) -> str:
    """The place with the newest results in it; as it was if there are none."""
    results = "\n\n".join(printed(place["name"]))
    return f"{place[1]}{results}\n{place[3]}" if results else place[0]


def main() -> None:
    """Fill every place of every page."""
    for page in PAGES:
        page.write_text(PLACE.sub(fill, page.read_text()))


if __name__ == "__main__":
    main()
