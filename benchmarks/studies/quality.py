"""When is a face not worth keeping? Photos spoilt in steps, and what refusing the spoilt ones does.

    .venv/bin/python -m benchmarks.studies.quality [--photos 60] [--rounds 3]

Two recognisers, EdgeFace of ../shared/models and that of the starter pack, look at the faces that
det_2.5g finds on photos of ../shared/faces spoilt by degrade.py. First the curves: the similarity
of a spoilt photo to the same photo as it was, against each signal. Then what refusing the unusable
does to verification, refusal.py. Writes benchmarks/results/CLASS/quality.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import kept
from benchmarks.studies.degrade import WAYS
from benchmarks.studies.eyes import PHOTOS, THRESHOLDS, Eyes, Seen
from benchmarks.studies.refusal import print_refusal, refusal
from face_service.runtime.processor import in_words, processor

KEPT = 0.75
"""A limit is where the median similarity to the photo as it was falls to this."""
WINDOW, STRIDE = 61, 5
"""Faces of which a median is taken, and how far the next window begins."""


class Signal(NamedTuple):
    """How it is read off a face, which ways of spoiling move it, and whether more is worse."""

    read: Callable[[Seen], float]
    ways: tuple[str, ...]
    falling: bool = False


SIGNALS: Mapping[str, Signal] = MappingProxyType(
    {
        "sharpness": Signal(lambda face: face.quality.sharpness, ("blur", "shake", "shrink")),
        "size": Signal(lambda face: face.quality.size, ("shrink",)),
        "brightness, dark": Signal(lambda face: face.quality.brightness, ("darken",)),
        "brightness, bright": Signal(lambda face: face.quality.brightness, ("brighten",), True),
        "visible": Signal(lambda face: face.quality.visible, ("cut",)),
        "roll": Signal(lambda face: abs(face.quality.pose.roll), ("rotate",), True),
        "det_score": Signal(lambda face: face.det_score, ("rotate",)),
    }
)


@dataclass(frozen=True, slots=True)
class Trial:
    """A photo spoilt in one way to one step: what is seen of its face, and how like it still
    is to the photo as it was, by recogniser."""

    way: str
    step: float
    seen: Seen | None
    kept: dict[str, float]


def spoil_all(eyes: Eyes, paths: Sequence[Path]) -> list[Trial]:
    """Every photo in every way to every step; first of all as it was, the way `none`."""
    trials = []
    for seed, path in enumerate(paths):
        random = np.random.default_rng(seed)
        photo, landmarks = eyes.photo(path)
        before = eyes.look(photo.image, landmarks)
        assert before, path
        trials.append(Trial("none", 0, before, dict.fromkeys(THRESHOLDS, 1.0)))
        for name, way in WAYS.items():
            for step in way.steps:
                seen = eyes.look_at_spoilt(way.spoil(photo, step, random), landmarks)
                trials.append(Trial(name, step, seen, before.similarities(seen) if seen else {}))
    return trials


def step_rows(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Each step of each way: how many are found, what the signals say, what is left."""
    rows: list[dict[str, Any]] = []
    for way, step in dict.fromkeys((trial.way, trial.step) for trial in trials):
        mine = [trial for trial in trials if (trial.way, trial.step) == (way, step)]
        faces = [trial.seen for trial in mine if trial.seen]
        row: dict[str, Any] = {"way": way, "step": step, "found": len(faces) / len(mine)}
        if faces:
            row["usable"] = float(np.mean([face.usable for face in faces]))
            for name, signal in SIGNALS.items():
                row[name] = float(np.median([signal.read(face) for face in faces]))
            for one in THRESHOLDS:
                kept = [trial.kept[one] for trial in mine if trial.seen]
                row[one] = [float(value) for value in np.percentile(kept, (10, 50))]
        rows.append(row)
    return rows


def curve(trials: Sequence[Trial], signal: Signal) -> dict[str, Any]:
    """Similarity to the photo as it was against a signal: running 10th, 50th and 90th
    percentiles, and the limit: the value up to which, coming from the clean side, the median of
    the weaker recogniser stays over KEPT."""
    mine = [
        (signal.read(t.seen), t.kept) for t in trials if t.seen and t.way in ("none", *signal.ways)
    ]
    mine.sort(key=lambda point: point[0], reverse=not signal.falling)
    values = np.array([value for value, _ in mine])
    kept = {one: np.array([left[one] for _, left in mine]) for one in THRESHOLDS}
    windows = [slice(i, i + WINDOW) for i in range(0, len(mine) - WINDOW + 1, STRIDE)]
    x = np.array([np.median(values[window]) for window in windows])
    bands = {
        one: np.array([np.percentile(all_kept[window], (10, 50, 90)) for window in windows])
        for one, all_kept in kept.items()
    }
    weaker = np.minimum.reduce([band[:, 1] for band in bands.values()])
    return {
        "limit": limit_of(x, weaker),
        "rank_correlation": {one: spearman(values, all_kept) for one, all_kept in kept.items()},
        "x": x.tolist(),
        **{one: band.tolist() for one, band in bands.items()},
    }


def limit_of(x: NDArray[np.float64], kept: NDArray[np.float64]) -> float | None:
    """Where `kept` first falls under KEPT; None if it never does."""
    below = np.flatnonzero(kept < KEPT)
    return float(x[below[0]]) if len(below) else None


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Rank correlation."""
    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def print_steps(rows: Sequence[dict[str, Any]]) -> None:
    """What each step does."""
    print("Each way and step: signals are medians, similarities are to the same photo as it was.\n")
    signals = [name for name in SIGNALS if name != "brightness, bright"]
    heads = [name.replace(", dark", "") for name in signals]
    print("| way, step | found | usable |", *(f"{head} |" for head in heads), end=" ")
    print(*(f"{one}: median, 10th percentile |" for one in THRESHOLDS))
    print("|---|" + "---|" * (len(signals) + 2 + len(THRESHOLDS)))
    for row in rows:
        unit = WAYS[row["way"]].unit if row["way"] in WAYS else ""
        cells = [f"{row['way']} {row['step'] or ''} {unit}".strip(), f"{row['found']:.0%}"]
        if "usable" in row:
            cells += [f"{row['usable']:.0%}", *(f"{row[name]:.3g}" for name in signals)]
            cells += [f"{row[one][1]:.2f}, {row[one][0]:.2f}" for one in THRESHOLDS]
        print("| " + " | ".join(cells) + " |")


def print_limits(curves: Mapping[str, dict[str, Any]], clean: Sequence[Seen]) -> None:
    """The limit that each curve gives, and what it would cost clean photos."""
    print(f"\nFrom where on the median similarity of the weaker recogniser is under {KEPT}:\n")
    print(
        "| signal | from | each half of the people | rank correlation, edgeface and starter |",
        end="",
    )
    print(" photos as they are beyond it | their 1st to 99th percentile |")
    print("|---|---|---|---|---|---|")
    for name, found in curves.items():
        signal, limit = SIGNALS[name], found["limit"]
        values = np.array([signal.read(face) for face in clean])
        low, high = np.percentile(values, (1, 99))
        sign = -1 if signal.falling else 1
        beyond = 0.0 if limit is None else float(np.mean(sign * values < sign * limit))
        correlation = ", ".join(f"{abs(r):.2f}" for r in found["rank_correlation"].values())
        halves = ", ".join(shown(half) for half in found["halves"])
        print(
            f"| {name} | {shown(limit)} | {halves} | {correlation} | {beyond:.1%} | "
            f"{low:.3g} to {high:.3g} |"
        )


def shown(limit: float | None) -> str:
    """A limit, or that there is none."""
    return "never" if limit is None else f"{limit:.3g}"


def main() -> None:
    """Print the tables and write what they are made of to benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    eyes = Eyes()
    everyone = sorted(PHOTOS.glob("*/*_0001.jpg"))[: arguments.photos]
    trials = spoil_all(eyes, everyone)
    rows = step_rows(trials)
    middle = len(trials) // 2
    curves = {
        name: curve(trials, signal)
        | {"halves": [curve(half, signal)["limit"] for half in (trials[:middle], trials[middle:])]}
        for name, signal in SIGNALS.items()
    }
    print_steps(rows)
    refused, clean = refusal(eyes, arguments.rounds)
    print_limits(curves, clean)
    print_refusal(refused)
    write("quality", {"steps": rows, "curves": curves, "refusal": refused})


def write(name: str, content: dict[str, Any]) -> None:
    """A file of results, its numbers to four places."""
    rounded = json.loads(json.dumps(content), parse_float=lambda text: round(float(text), 4))
    kept.write(name, rounded, indent=None)


if __name__ == "__main__":
    main()
