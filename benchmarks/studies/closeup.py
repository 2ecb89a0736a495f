"""How close may a face come? Recall with and without the second pass on a canvas of 128.

    .venv/bin/python -m benchmarks.studies.closeup [--photos 200] [--heights 0.5 1.1 1.4]

Photos of ../shared/faces are grown until the face has a given share of the height of a
1920×1080 frame, its centre near the frame's, and shown to the official detectors of
../shared/models. Found means: a box that overlaps the visible part of the face by 40 %.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from dataclasses import replace

import cv2
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
    read_heads,
)
from face_service.runtime.processor import in_words, processor
from face_service.tools.quantization.frames import Head, paste, scenery
from face_service.vision.canvas import Size, allowed_canvases
from face_service.vision.detections import merge, suppress
from face_service.vision.detector import CLOSEUP
from face_service.vision.scrfd import Scrfd

FRAME = Size(1920, 1080)
HEIGHTS = (0.5, 0.7, 0.9, 1.1, 1.2, 1.4, 1.6, 1.8)
"""Heights of the face's box in heights of the frame."""
FOUND = 0.4


def close(seed: int, head: Head, height: float) -> Scene:
    """A photo grown until its face is `height` frames high, near the middle of the frame."""
    random = np.random.default_rng(seed)
    # Behind the photo, which covers the frame from a height of about 0.8 on.
    image = cv2.resize(scenery(random, FRAME.width // 4, FRAME.height // 4), FRAME)
    whole = replace(head, mask=np.ones_like(head.mask))
    scale = height * FRAME.height / head.height
    center = (head.box[:2] + head.box[2:]) / 2 * scale
    left, top = np.array(FRAME) * (0.5 + random.uniform(-0.05, 0.05, 2)) - center
    return Scene(image, [paste(image, whole, scale, float(left), float(top))])


def passes(scrfd: Scrfd, scene: Scene, times: dict[str, list[float]]) -> dict[str, bool]:
    """Whether the face is found by the canvas alone, by the close-up alone, by both."""
    small, full = scrfd.preprocess(scene.image)
    seen = {}
    for name, shown in (("close-up", small), ("canvas", full)):
        started = time.perf_counter()
        seen[name] = scrfd.detect([shown])
        times[name].append((time.perf_counter() - started) * 1e3)
    seen["both"] = suppress(merge([seen["close-up"], seen["canvas"]]))
    truth = clipped(scene.boxes[0], scene.image)
    return {
        name: any(overlap(truth, box) >= FOUND for box in boxes_of(found, scene.image))
        for name, found in seen.items()
    }


def main() -> None:
    """Print the table and write it to benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--heights", type=float, nargs="+", default=HEIGHTS)
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    heads = read_heads()[: arguments.photos]
    allowed = allowed_canvases(SQUARE.width)
    detectors = {name: detector(name, allowed, CLOSEUP) for name in DETECTORS}
    times: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in DETECTORS}
    columns = [(name, which) for which in ("canvas", "close-up", "both") for name in DETECTORS]
    print(f"{len(heads)} photos, 1920×1080, share of the faces that are found\n")
    print("| face / frame height |", *(f"{name}, {which} |" for name, which in columns))
    print("|---|" + "---|" * len(columns))
    table = []
    for height in arguments.heights:
        found: dict[tuple[str, str], int] = defaultdict(int)
        for seed, head in enumerate(heads):
            scene = close(seed, head, height)
            for name, scrfd in detectors.items():
                for which, hit in passes(scrfd, scene, times[name]).items():
                    found[name, which] += hit
        shares = {column: found[column] / len(heads) for column in columns}
        print(f"| {height} |", *(f"{100 * share:.1f} % |" for share in shares.values()), flush=True)
        table.append({"height": height} | {f"{a} {b}": share for (a, b), share in shares.items()})
    for name in DETECTORS:
        full, small = (float(np.median(times[name][which])) for which in ("canvas", "close-up"))
        print(
            f"\n{name}: {full:.1f} ms on the canvas, {small:.1f} ms on the close-up, median: "
            f"{small / full:.0%} more"
        )
    kept.write("closeup", {"photos": len(heads), "rows": table})


if __name__ == "__main__":
    main()
