"""Packs side by side: accuracy, thresholds, speed, memory and licence, as a table and a plot."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from face_service.runtime.processor import in_words, processor
from face_service.tools.pack_trial import Accuracy, pack_process
from face_service.vision.fingerprint import MOST_DIFFERENT, share_different

ROUNDS = 3
"""Times that the packs are timed in turn, after one that does not count."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One pack. milliseconds: median time of a photo. memory: peak of the process, in 10^6 bytes;
    None where that cannot be known."""

    accuracy: Accuracy
    milliseconds: float
    memory: float | None


def compare_packs(
    models: Sequence[str],
    pairs: Path,
    photos: Path,
    advance: Callable[[], object] = lambda: None,
) -> list[Trial]:
    """Measure packs on pairs of photos, each in a process of its own; their times in turn.

    models: names or folders of packs. pairs: see `read_pairs`. photos: the folder of the photos.
    advance: called after each pack. Raises StartupError where a process ends; it has said why on
    stderr.
    """
    with ExitStack() as stack:
        processes = [stack.enter_context(pack_process()) for _ in models]
        found = []
        for process, model in zip(processes, models, strict=True):
            found.append(process.accuracy(model, pairs, photos))
            advance()
        times: list[list[float]] = [[] for _ in models]
        for turn in range(ROUNDS + 1):
            for process, taken in zip(processes, times, strict=True):
                milliseconds = process.milliseconds()
                if turn:
                    taken.append(milliseconds)
        return [
            Trial(accuracy, statistics.median(taken), process.megabytes)
            for accuracy, taken, process in zip(found, times, processes, strict=True)
        ]


def as_table(trials: Sequence[Trial]) -> str:
    """The packs as columns of a Markdown table, the processor class above it."""
    first = trials[0].accuracy
    rows: dict[str, list[str]] = {
        "licence": [trial.accuracy.licence for trial in trials],
        "detector": [trial.accuracy.files["detection"] for trial in trials],
        "recogniser": [trial.accuracy.files["recognition"] for trial in trials],
        "verifier": [trial.accuracy.files.get("verification", "–") for trial in trials],
        "networks, MB": [f"{trial.accuracy.megabytes:.1f}" for trial in trials],
        "embedding": [f"{trial.accuracy.dimension} numbers" for trial in trials],
        f"no face, of {first.photos} photos": [
            str(trial.accuracy.without_face) for trial in trials
        ],
        "own threshold": [of(trial.accuracy.threshold, "{:.3f}") for trial in trials],
        "accuracy at it": [of(trial.accuracy.accuracy, "{:.2%}") for trial in trials],
        "false matches at it": [of(trial.accuracy.false_match, "{:.2%}") for trial in trials],
        "false non-matches at it": [
            of(trial.accuracy.false_non_match, "{:.2%}") for trial in trials
        ],
        "best threshold here": [f"{trial.accuracy.best_threshold:.3f}" for trial in trials],
        "accuracy at the best": [f"{trial.accuracy.best_accuracy:.2%}" for trial in trials],
        "10-fold accuracy": [f"{trial.accuracy.cross_validated:.2%}" for trial in trials],
        "a photo, ms": [f"{trial.milliseconds:.0f}" for trial in trials],
        "of the first": [f"{trial.milliseconds / trials[0].milliseconds:.2f}×" for trial in trials],
        "memory of the process, MB": [of(trial.memory, "{:.0f}") for trial in trials],
        "one space with the first": [shares(first, trial.accuracy) for trial in trials],
    }
    pairs = f"{len(first.same)} pairs of one person, {len(first.different)} of two"
    names = [f"{trial.accuracy.pack} ({trial.accuracy.precision})" for trial in trials]
    lines = [f"| {pairs} | {' | '.join(names)} |", "|---|" + "---|" * len(trials)]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    return "\n".join([in_words(processor()), "", *lines])


def of(value: float | None, form: str) -> str:
    """A number by the format string `form`, or a dash where there is none."""
    return "–" if value is None else form.format(value)


def shares(one: Accuracy, other: Accuracy) -> str:
    """`yes` or `no`: whether embeddings of two packs may be compared, by their fingerprints."""
    bits = share_different(one.fingerprint, other.fingerprint)
    return "yes" if bits <= MOST_DIFFERENT else "no"


def as_dicts(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """The trials in types of JSON, without the cosines of the pairs."""
    left_out = ("same", "different")
    return [
        {name: value for name, value in asdict(trial.accuracy).items() if name not in left_out}
        | {"milliseconds": round(trial.milliseconds, 1), "memory_mb": trial.memory}
        for trial in trials
    ]


WIDTH, HEIGHT, LEFT, TOP = 640, 120, 20, 46
"""Pixels of the plot: its width, the height of a pack, margins at the sides and at the top."""
BINS = np.linspace(-0.4, 1, 71)
"""Edges of the bins of similarities; what lies outside is counted in the first or the last."""
COLOURS = ("#c2410c", "#1d4ed8")
"""Of pairs of two people and of one person; they differ also for who cannot tell red from green."""


def as_svg(trials: Sequence[Trial]) -> str:
    """An SVG of how similar the pairs of one person and of two are with each pack: two outlines a
    pack, and its threshold, or the best where it has none."""
    parts = [
        f'<text x="{LEFT}" y="20" class="b">Similarity of the pairs</text>',
        f'<text x="{LEFT + 200}" y="20" style="fill:{COLOURS[0]}">of two people</text>',
        f'<text x="{LEFT + 310}" y="20" style="fill:{COLOURS[1]}">of one person</text>',
    ]
    for row, trial in enumerate(trials):
        base = TOP + (row + 1) * HEIGHT - 30
        one = trial.accuracy
        parts.append(
            f'<text x="{LEFT}" y="{base - HEIGHT + 42}" class="b">{escape(one.pack)}</text>'
        )
        for values, colour in zip((one.different, one.same), COLOURS, strict=True):
            parts.append(outline(values, base, colour))
        parts.append(f'<path d="M{LEFT} {base}H{WIDTH - LEFT}" stroke="#64748b"/>')
        for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
            parts.append(f'<text x="{place(tick):.1f}" y="{base + 15}" class="t">{tick:g}</text>')
        at = one.best_threshold if one.threshold is None else one.threshold
        whose = "best here" if one.threshold is None else "its own"
        parts.append(
            f'<path d="M{place(at):.1f} {base - HEIGHT + 48}V{base}" stroke="#0f172a" '
            f'stroke-dasharray="4 3"/><text x="{place(at) + 4:.1f}" y="{base - HEIGHT + 58}">'
            f"{at:.3f}, {whose}</text>"
        )
    height = TOP + len(trials) * HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="Similarities of pairs of photos, pack by pack">'
        "<style>text{font:12px sans-serif;fill:#0f172a}.b{font-weight:bold}"
        ".t{text-anchor:middle;fill:#475569}</style>"
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def place(similarity: float) -> float:
    """Where a similarity is, in pixels from the left."""
    share = (similarity - BINS[0]) / (BINS[-1] - BINS[0])
    return float(LEFT + share * (WIDTH - 2 * LEFT))


def outline(values: Sequence[float], base: float, colour: str) -> str:
    """An SVG path: a histogram of similarities as a filled outline. base: its y, in pixels."""
    counts, _ = np.histogram(np.clip(values, BINS[0], BINS[-1]), BINS)
    tall = (HEIGHT - 55) * counts / max(1, counts.max())
    steps = "".join(
        f"V{base - top:.1f}H{place(right):.1f}" for top, right in zip(tall, BINS[1:], strict=True)
    )
    path = f"M{place(float(BINS[0])):.1f} {base}{steps}V{base}Z"
    return f'<path d="{path}" fill="{colour}" fill-opacity="0.35" stroke="{colour}"/>'
