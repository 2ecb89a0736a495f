"""Does a rectangular canvas see what a square one sees?

    .venv/bin/python -m benchmarks.studies.canvas_agreement [--frames 600] [--closeup]

Composes frames (five of seven 1920×1080, one 1080×1920, one 1440×1080) with faces of every
size at every place, a third of them cut by an edge, runs the official detectors of
../shared/models on both canvases and prints a Markdown table. Seeded: the frames are the
same every time.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks import kept
from benchmarks.studies.scenes import (
    DETECTORS,
    SQUARE,
    Scene,
    boxes_of,
    clipped,
    detector,
    overlap,
    pairs,
    read_heads,
    visible,
)
from face_service.runtime.processor import in_words, processor
from face_service.tools.quantization.frames import Box, Head, paste, scenery
from face_service.vision.canvas import Size, allowed_canvases
from face_service.vision.detections import Detections
from face_service.vision.detector import CLOSEUP, MIN_SCORE
from face_service.vision.scrfd import Scrfd

SHAPES = [Size(1920, 1080)] * 5 + [Size(1080, 1920), Size(1440, 1080)]
FACE_HEIGHTS = (36, 900)
"""Pixels of the frame, log-uniform: 12 to 300 pixels of a canvas of 640."""
SAME = 0.5
"""Overlap from which two boxes are one face."""
FOUND = 0.4
"""Overlap from which a box is that of a pasted face, whose visible part it may outgrow."""
FLOOR = 0.05
"""Least score that is looked at: what the other canvas thought of a face it did not report."""


def compose(random: np.random.Generator, heads: list[Head], size: Size) -> Scene:
    """Up to five faces that do not cover one another, each third one cut by an edge."""
    image = scenery(random, *size)
    boxes: list[Box] = []
    for _ in range(random.integers(0, 6)):
        head = heads[random.integers(len(heads))]
        tallest = min(FACE_HEIGHTS[1], 0.8 * min(size))
        scale = np.exp(random.uniform(*np.log((FACE_HEIGHTS[0], tallest)))) / head.height
        left, top = place(random, head.box * scale, size)
        box = head.box * scale + np.tile((left, top), 2)
        room = grown(box, 0.6)
        if all(overlap(room, grown(other, 0.6)) == 0 for other in boxes):
            boxes.append(paste(image, head, scale, left, top))
    return Scene(image, boxes)


def place(random: np.random.Generator, box: Box, size: Size) -> tuple[float, float]:
    """Where the corner of a photo goes so that its face, at `box` in it, is inside the frame
    or, one time in three, is cut by an edge that leaves 30 to 95 % of a side."""
    ends = []
    cut = random.integers(2) if random.random() < 1 / 3 else None
    for axis in (0, 1):
        low, high = box[axis], box[axis + 2]
        side, room = high - low, size[axis]
        start = random.uniform(0, max(1.0, room - side))
        if axis == cut:
            hidden = side * random.uniform(0.05, 0.7)
            start = -hidden if random.random() < 0.5 else room - side + hidden
        ends.append(start - low)
    return float(ends[0]), float(ends[1])


def grown(box: Box, share: float) -> Box:
    """A box with `share` of its sides added on every side."""
    side = np.tile(box[2:] - box[:2], 2)
    return np.asarray(box + side * np.array([-share, -share, share, share]), np.float32)


@dataclass(slots=True)
class Tally:
    """What one detector saw on both canvases."""

    counts: Counter[str] = field(default_factory=Counter)
    differences: list[tuple[str, float, float, float]] = field(default_factory=list)
    """Which canvas alone found it, its score there, the best score on the other, 0 below
    FLOOR, and the share of the pasted face that is in the frame, 0 for what is no face."""
    score_shifts: list[float] = field(default_factory=list)
    milliseconds: dict[str, list[float]] = field(
        default_factory=lambda: {"square": [], "rectangle": []}
    )

    def add(self, scene: Scene, seen: dict[str, Detections]) -> None:
        """Count the answers of both canvases for one frame."""
        image = scene.image
        truth = [clipped(box, image) for box in scene.boxes]
        kept = {name: found.take(found.scores >= MIN_SCORE) for name, found in seen.items()}
        boxes = {name: boxes_of(found, image) for name, found in kept.items()}
        both = pairs(boxes["square"], boxes["rectangle"], SAME)
        self.counts["frames"] += 1
        self.counts["both"] += len(both)
        self.score_shifts += [
            float(abs(kept["square"].scores[i] - kept["rectangle"].scores[j]))
            for i, j in both.items()
        ]
        for kind, indices in self.split(scene).items():
            self.counts[f"{kind} faces"] += len(indices)
            for name in seen:
                hits = pairs([truth[i] for i in indices], boxes[name], FOUND)
                self.counts[f"{kind} {name}"] += len(hits)
        before = len(self.differences)
        for name, other, matched in (
            ("square", "rectangle", set(both)),
            ("rectangle", "square", set(both.values())),
        ):
            for index in set(range(len(boxes[name]))) - matched:
                box = boxes[name][index]
                self.differences.append(
                    (
                        name,
                        float(kept[name].scores[index]),
                        best_score(box, seen[other], scene),
                        shown(box, scene),
                    )
                )
        self.counts["differing frames"] += len(self.differences) > before

    @staticmethod
    def split(scene: Scene) -> dict[str, list[int]]:
        """Indices of the faces that are whole, and of those an edge cuts."""
        shares = [visible(box, scene.image) for box in scene.boxes]
        return {
            "whole": [i for i, share in enumerate(shares) if share > 0.99],
            "cut": [i for i, share in enumerate(shares) if 0.3 <= share <= 0.99],
        }


def best_score(box: Box, found: Detections, scene: Scene) -> float:
    """The best score among detections of this face, 0 if there is none above FLOOR."""
    boxes = boxes_of(found, scene.image)
    scores = [s for s, b in zip(found.scores, boxes, strict=True) if overlap(box, b) >= SAME]
    return float(max(scores, default=0.0))


def shown(box: Box, scene: Scene) -> float:
    """How much of the pasted face that `box` is lies in the frame; 0 if it is none."""
    for truth in scene.boxes:
        if overlap(box, clipped(truth, scene.image)) >= FOUND:
            return visible(truth, scene.image)
    return 0.0


def look(scrfd: Scrfd, scene: Scene, milliseconds: list[float]) -> Detections:
    """Everything above FLOOR. NMS goes by descending score, so what is above MIN_SCORE is
    the same as if it had been alone."""
    inputs = scrfd.preprocess(scene.image)
    started = time.perf_counter()
    found = scrfd.detect(inputs, FLOOR)
    milliseconds.append((time.perf_counter() - started) * 1e3)
    return found


def scenes(frames: int) -> Iterator[Scene]:
    """The frames, one at a time."""
    heads = read_heads()
    for seed in range(frames):
        random = np.random.default_rng(seed)
        yield compose(random, heads, SHAPES[seed % len(SHAPES)])


def row(name: str, tally: Tally) -> str:
    """One line of the table."""
    counts = tally.counts
    alone = Counter(which for which, *_ in tally.differences)
    recall = [
        f"{100 * counts[f'{kind} {canvas}'] / counts[f'{kind} faces']:.1f} %"
        for kind in ("whole", "cut")
        for canvas in ("square", "rectangle")
    ]
    highest = max((score for _, score, *_ in tally.differences), default=0.0)
    return (
        f"| {name} | {counts['both']} | {alone['square']} | {alone['rectangle']} | "
        f"{counts['differing frames']} of {counts['frames']} | {highest:.3f} | "
        f"{recall[0]} / {recall[1]} | {recall[2]} / {recall[3]} |"
    )


def main() -> None:
    """Print the table and every difference; write both to benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--closeup", action="store_true", help="with the 128-pixel pass on both")
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    closeup = CLOSEUP if arguments.closeup else None
    canvases = {"square": (SQUARE,), "rectangle": allowed_canvases(SQUARE.width)}
    detectors = {
        name: {kind: detector(name, sizes, closeup) for kind, sizes in canvases.items()}
        for name in DETECTORS
    }
    tallies = {name: Tally() for name in DETECTORS}
    for scene in scenes(arguments.frames):
        for name, tally in tallies.items():
            tally.add(
                scene,
                {
                    kind: look(scrfd, scene, tally.milliseconds[kind])
                    for kind, scrfd in detectors[name].items()
                },
            )
    counts = tallies[DETECTORS[0]].counts
    print(
        f"{counts['frames']} frames, {counts['whole faces']} whole faces, {counts['cut faces']} "
        "cut by an edge (30 to 99 % of the box left). Recall: square / rectangle.\n\n"
        "| detector | found by both | square only | rectangle only | frames that differ "
        "| highest score of a difference | recall, whole | recall, cut |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for name, tally in tallies.items():
        print(row(name, tally))
    print(
        "\n| detector | found only on | score there | score on the other | of the face in the "
        "frame |\n|---|---|---|---|---|"
    )
    for name, tally in tallies.items():
        for which, score, other, share in sorted(tally.differences, key=lambda d: -d[1]):
            about = f"{share:.0%}" if share else "not a face"
            below = f"{other:.3f}" if other else f"below {FLOOR}"
            print(f"| {name} | {which} | {score:.3f} | {below} | {about} |")
    for name, tally in tallies.items():
        shifts = np.array(tally.score_shifts)
        square, rectangle = (np.median(tally.milliseconds[kind]) for kind in canvases)
        print(
            f"\n{name}: faces found by both differ in score by {np.median(shifts):.4f} in the "
            f"middle, {np.percentile(shifts, 99):.3f} at the 99th percentile; median time on a "
            f"frame {square:.0f} ms square, {rectangle:.0f} ms rectangle"
        )
    kept.write(
        f"canvas_agreement{'_closeup' * bool(closeup)}",
        {
            name: {"counts": dict(tally.counts), "differences": tally.differences}
            for name, tally in tallies.items()
        },
    )


if __name__ == "__main__":
    main()
