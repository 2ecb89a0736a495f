"""Where results lie: benchmarks/results/CLASS, one folder for each class of processors.

Needs nothing but the standard library, as benchmarks.plots and benchmarks.publish do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from face_service.runtime.processor import processor

ALL = Path(__file__).resolve().parent / "results"
HERE = ALL / processor().class_name


def read(name: str) -> dict[str, Any]:
    """What was written on this class of processors last."""
    content: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text())
    return content


def write(name: str, content: dict[str, Any], indent: int | None = 1) -> None:
    """Keep it as NAME.json."""
    HERE.mkdir(parents=True, exist_ok=True)
    (HERE / f"{name}.json").write_text(json.dumps(content, indent=indent) + "\n")


def printed(name: str) -> list[str]:
    """What was printed as NAME.md, on each class of processors."""
    return [path.read_text().strip() for path in sorted(ALL.glob(f"*/{name}.md"))]
