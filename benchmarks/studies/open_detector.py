"""YuNet of the pack `open` against the detectors of `starter` and of InsightFace.

    .venv/bin/python -m benchmarks.studies.open_detector [--photos 100]

Close: photos of ../shared/faces grown until the face has a share of the height of a 1920×1080
frame. Small: shrunk until its box has so many pixels on the canvas. Found means a box that overlaps
the visible part of the face by 40 %, with a score of 0.5 or more. Empty: what is found in pictures
of coloured noise, none of which shows a face.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.studies.closeup import FRAME, close
from benchmarks.studies.scenes import (
    SQUARE,
    Scene,
    boxes_of,
    clipped,
    detector,
    overlap,
    read_heads,
)
from face_service.engine_factory.builder import Canvases
from face_service.packs.store import resolve
from face_service.runtime.processor import in_words, processor
from face_service.tools.quantization.calibration import build_cpu_detector
from face_service.tools.quantization.frames import Head, paste, scenery
from face_service.vision.blob import Image
from face_service.vision.canvas import allowed_canvases
from face_service.vision.detector import CLOSEUP, Detector

HEIGHTS = (0.9, 1.1, 1.4, 1.8, 2.4)
SIDES = (8, 10, 12, 16, 24)
FOUND = 0.4
EMPTY = 200
SCORES = (0.5, 0.6, 0.7, 0.8)


def detectors() -> dict[str, Detector]:
    """As the service has them by default: `starter`, of fixed size, without a close-up."""
    allowed = allowed_canvases(SQUARE.width)
    models = Path("models")
    alone = Canvases(allowed, None)
    both = Canvases(allowed, CLOSEUP)
    return {
        "open": build_cpu_detector(resolve("open", models), both, 2),
        "open, no close-up": build_cpu_detector(resolve("open", models), alone, 2),
        "starter": build_cpu_detector(resolve("starter", models), Canvases((SQUARE,), None), 2),
        "det_2.5g": detector("det_2.5g", allowed, CLOSEUP),
        "det_500m": detector("det_500m", allowed, CLOSEUP),
    }


def small(seed: int, head: Head, side: float) -> Scene:
    """A photo shrunk until the shorter side of the face has `side` pixels on the canvas."""
    random = np.random.default_rng(seed)
    image = cv2.resize(scenery(random, FRAME.width // 4, FRAME.height // 4), FRAME)
    width, height = head.box[2:] - head.box[:2]
    scale = side * FRAME.width / SQUARE.width / min(width, height)
    left, top = random.uniform(0.2, 0.7, 2) * np.array(FRAME)
    return Scene(image, [paste(image, head, float(scale), float(left), float(top))])


def table(
    name: str,
    made: Callable[[int, Head, float], Scene],
    values: tuple[float, ...],
    heads: list[Head],
) -> None:
    """Print the share of faces that each detector finds."""
    print(f"\n| {name} |", *(f"{each} |" for each in detectors()))
    print("|---|" + "---|" * len(detectors()))
    found = detectors()
    for value in values:
        hits = dict.fromkeys(found, 0)
        for seed, head in enumerate(heads):
            scene = made(seed, head, value)
            truth = clipped(scene.boxes[0], scene.image)
            for each, find in found.items():
                seen = boxes_of(find.detect(find.preprocess(scene.image)), scene.image)
                hits[each] += any(overlap(truth, box) >= FOUND for box in seen)
        print(f"| {value} |", *(f"{100 * n / len(heads):.0f} % |" for n in hits.values()))


def noise(seed: int) -> Image:
    """Coloured noise, coarse or smooth."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (48, 64, 3)).astype(np.uint8)
    how = (cv2.INTER_NEAREST, cv2.INTER_CUBIC)[seed % 2]
    return cv2.resize(coarse, (640, 480), interpolation=how).astype(np.uint8)


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=100)
    arguments = parser.parse_args()
    print(in_words(processor()))
    heads = read_heads()
    heads = [replace(head) for head in heads[:: max(1, len(heads) // arguments.photos)]]
    heads = heads[: arguments.photos]
    print(f"{len(heads)} photos")
    table("close: face / frame height", close, HEIGHTS, heads)
    table("small: pixels on the canvas", small, SIDES, heads)
    print(f"\n| in {EMPTY} pictures of noise, score of |", *(f"{each} |" for each in detectors()))
    print("|---|" + "---|" * len(detectors()))
    scores = {
        each: np.concatenate([find.detect(find.preprocess(noise(n))).scores for n in range(EMPTY)])
        for each, find in detectors().items()
    }
    for least in SCORES:
        print(f"| {least} |", *(f"{(found >= least).sum()} |" for found in scores.values()))


if __name__ == "__main__":
    main()
