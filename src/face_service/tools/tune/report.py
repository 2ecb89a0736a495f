"""What was tried, as a table with bars, as JSON, and as settings in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from textwrap import shorten
from typing import Any

from dotenv import set_key

from .search import Bounds, Trial, Variables

BAR = 24
"""Characters of the longest bar."""


def name_of(variables: Variables) -> str:
    """The settings of a trial on one line."""
    return " ".join(f"{name}={value}" for name, value in variables.items()) or "as it is now"


def as_text(trials: Sequence[Trial], best: Trial, bounds: Bounds) -> str:
    """A line for each trial: requests a second as a number and as a bar, latency, memory; and what
    is best."""
    width = max(len(name_of(trial.variables)) for trial in trials)
    most = max((trial.throughput for trial in trials), default=0.0) or 1.0
    lines = [f"{'':{width}}  requests/s  p50, 1 client  p95, all  memory"]
    for trial in trials:
        name = f"{name_of(trial.variables):{width}}"
        if trial.failure is not None:
            lines.append(f"{name}  {shorten(trial.failure, 70)}")
            continue
        p50, p95 = (mean(getattr(each, key) for each in trial.figures) for key in ("p50", "p95"))
        bar = "█" * max(1, round(BAR * trial.throughput / most))
        outside = "" if trial.kept(bounds) else "  out of bounds"
        lines.append(
            f"{name}  {trial.throughput:10.2f}  {p50:10.0f} ms  {p95:5.0f} ms  {memory_of(trial)}"
            f"  {bar}{outside}"
        )
    return "\n".join((*lines, "", verdict(best, bounds)))


def memory_of(trial: Trial) -> str:
    """The highest peak of memory of a trial, `1,234 MB` or ` unknown`, in eight characters."""
    known = [each.memory for each in trial.figures if each.memory is not None]
    return f"{max(known):5,.0f} MB" if known else " unknown"


def verdict(best: Trial, bounds: Bounds) -> str:
    """The last line of the report."""
    if not best.kept(bounds):
        return "Nothing that was tried keeps the bounds."
    if not best.variables:
        return "Nothing that was tried is better than what is set now."
    return f"Best: {name_of(best.variables)}"


def as_dict(trials: Sequence[Trial], best: Trial, bounds: Bounds) -> dict[str, Any]:
    """The same in the types of JSON. `best`: None where no trial keeps the bounds."""
    return {
        "trials": [asdict(trial) for trial in trials],
        "best": dict(best.variables) if best.kept(bounds) else None,
    }


def write_settings(path: Path, variables: Variables) -> None:
    """Write settings into a file of the form of `.env`; its other lines stay. Raises OSError where
    that fails."""
    path.touch()
    for name, value in variables.items():
        set_key(path, name, value, quote_mode="never")
