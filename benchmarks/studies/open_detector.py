"""YuNet of the pack `open` against the detectors of `starter` and of InsightFace.

    .venv/bin/python -m benchmarks.studies.open_detector [--photos 100] [--only same cost]

Close: photos of ../shared/faces grown until the face has a share of the height of a 1920×1080
frame. Small: shrunk until its box has so many pixels on the canvas. Found means a box that overlaps
the visible part of the face by 40 %, with the detector's own least score or more. Empty: what is
found in pictures of coloured noise, none of which shows a face. Same: faces of the 300 photos of
`tests.yunet`, those that det_2.5g finds. Space: cosine of a face in `open` to the same face in
`starter`, one photo of each person. Cost: CPU time of a run on a black canvas, in turn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from benchmarks.frames import SHARED
from benchmarks.studies.closeup import FRAME, close
from benchmarks.studies.scenes import SQUARE, Scene, clipped, overlap, pairs, read_heads
from face_service.engine_factory.builder import Canvases, build_engine
from face_service.face_engine import FaceEngine, Options
from face_service.packs.entries import Role
from face_service.packs.pack import Pack, PackModel, sha256_of
from face_service.packs.store import resolve
from face_service.runtime.processor import in_words, processor
from face_service.runtime.providers import CPU
from face_service.tools.evaluation import main_face
from face_service.tools.photos import read_photo
from face_service.tools.quantization.frames import Box, Head, paste, scenery
from face_service.vision.blob import SCRFD_NORMALIZATION, Image
from face_service.vision.canvas import allowed_canvases
from face_service.vision.detector import CLOSEUP
from tests.yunet import all_photos

HEIGHTS = (0.9, 1.1, 1.4, 1.8, 2.4)
SIDES = (8, 10, 12, 16, 24)
FOUND = 0.4
EMPTY = 200
SCORES = (0.5, 0.6, 0.7, 0.8)


CANVASES = Canvases(allowed_canvases(SQUARE.width), CLOSEUP)
"""The service's default."""
ROUNDS, RUNS = 5, 20
TABLES = ("close", "small", "empty", "same", "space", "cost")

Detected = tuple[list[Box], np.ndarray]
"""Boxes, clipped to the image, and their scores."""


def engine(pack: Pack, canvases: Canvases = CANVASES, threads: int = 2) -> FaceEngine:
    """As the service has it on these canvases."""
    return build_engine(pack, canvases, (CPU,), threads)


def with_detector(pack: Pack, name: str) -> Pack:
    """A pack with a detector of ../shared/models in place of its own."""
    path = SHARED / "models" / f"{name}.onnx"
    model = PackModel(Role.DETECTION, path, sha256_of(path), SCRFD_NORMALIZATION, "")
    return replace(pack, name=name, models={**pack.models, Role.DETECTION: model})


class Column(NamedTuple):
    """What is shown pictures, and from which score its faces count; None for its own."""

    engine: FaceEngine
    least: float | None = None


def columns() -> dict[str, Column]:
    """By their names."""
    opened, starter = (resolve(name, Path("models")) for name in ("open", "starter"))
    first = engine(opened)
    return {
        "open": Column(first),
        "open, 0.5": Column(first, SCORES[0]),
        "open, no close-up": Column(engine(opened, CANVASES._replace(closeup=None))),
        "starter": Column(engine(starter)),
        "det_2.5g": Column(engine(with_detector(starter, "det_2.5g"))),
        "det_500m": Column(engine(with_detector(starter, "det_500m"))),
    }


def detect(one: FaceEngine, image: Image, least: float | None = SCORES[0]) -> Detected:
    """Faces of this score or more."""
    options = Options(min_score=least, embeddings=False, attributes=False, quality=False)
    found = one.analyse_image(image, options)
    return [clipped(face.bbox, image) for face in found], np.array([face.score for face in found])


def small(seed: int, head: Head, side: float) -> Scene:
    """A photo shrunk until the shorter side of the face has `side` pixels on the canvas."""
    random = np.random.default_rng(seed)
    image = cv2.resize(scenery(random, FRAME.width // 4, FRAME.height // 4), FRAME)
    width, height = head.box[2:] - head.box[:2]
    scale = side * FRAME.width / SQUARE.width / min(width, height)
    left, top = random.uniform(0.2, 0.7, 2) * np.array(FRAME)
    return Scene(image, [paste(image, head, float(scale), float(left), float(top))])


def heading(name: str, others: Sequence[str]) -> None:
    """Print the first two lines of a table."""
    print(f"\n| {name} |", *(f"{each} |" for each in others))
    print("|---|" + "---|" * len(others))


def recall(
    name: str,
    shown: Mapping[str, Column],
    made: Callable[[int, Head, float], Scene],
    values: tuple[float, ...],
    heads: list[Head],
) -> None:
    """Print the share of faces that each of them finds."""
    heading(name, [*shown])
    for value in values:
        hits = dict.fromkeys(shown, 0)
        for seed, head in enumerate(heads):
            scene = made(seed, head, value)
            truth = clipped(scene.boxes[0], scene.image)
            for each, column in shown.items():
                boxes, _ = detect(column.engine, scene.image, column.least)
                hits[each] += any(overlap(truth, box) >= FOUND for box in boxes)
        print(f"| {value} |", *(f"{100 * n / len(heads):.0f} % |" for n in hits.values()))


def noise(seed: int) -> Image:
    """Coloured noise, coarse or smooth."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (48, 64, 3)).astype(np.uint8)
    how = (cv2.INTER_NEAREST, cv2.INTER_CUBIC)[seed % 2]
    return cv2.resize(coarse, (640, 480), interpolation=how).astype(np.uint8)


def empty(shown: Mapping[str, Column]) -> None:
    """Print how many faces each of them sees where there are none."""
    scores = {
        each: np.concatenate([detect(column.engine, noise(n))[1] for n in range(EMPTY)])
        for each, column in shown.items()
        if "," not in each
    }
    heading(f"in {EMPTY} pictures of noise, score of", [*scores])
    for least in SCORES:
        print(f"| {least} |", *(f"{(seen >= least).sum()} |" for seen in scores.values()))


def same(opened: FaceEngine, reference: FaceEngine) -> None:
    """Print how many faces of photos both of them find, and how many `opened` alone."""
    total, common, alone = 0, dict.fromkeys(SCORES, 0), dict.fromkeys(SCORES, 0)
    for photo in all_photos():
        expected, _ = detect(reference, photo)
        boxes, scores = detect(opened, photo)
        total += len(expected)
        for least in SCORES:
            seen = [box for box, score in zip(boxes, scores, strict=True) if score >= least]
            both = len(pairs(seen, expected, FOUND))
            common[least] += both
            alone[least] += len(seen) - both
    print(f"\n| score of | of {total} faces of det_2.5g | others |\n|---|---|---|")
    for least in SCORES:
        print(f"| {least} | {common[least]} | {alone[least]} |")


def space(one: FaceEngine, other: FaceEngine) -> None:
    """Print how similar the embeddings of one face are whose landmarks two detectors place."""
    wanted, cosines = Options(attributes=False, quality=False), []
    for person in sorted((SHARED / "faces" / "lfw").iterdir()):
        photo = read_photo(min(person.glob("*.jpg")))
        first, second = (
            main_face(each.analyse_image(photo, wanted), photo) for each in (one, other)
        )
        cosines.append(float(np.dot(first.embedding, second.embedding)))
    middle, low = np.quantile(cosines, (0.5, 0.05))
    print(
        f"\n{len(cosines)} faces: cosine {middle:.3f} (median), {low:.3f} (one in twenty is less)"
    )


def cost(packs: Mapping[str, Pack]) -> None:
    """Print the CPU time of a run of each detector, round by round."""
    square = Canvases((SQUARE,), None)
    black = np.zeros((SQUARE.height, SQUARE.width, 3), np.uint8)
    found = {name: engine(pack, square, threads=1) for name, pack in packs.items()}
    heading("CPU ms of a run", [*found, "ratio"])
    for turn in range(ROUNDS + 1):
        times = []
        for one in found.values():
            (shown,) = one.preprocessor.preprocess(black)
            began = time.process_time()
            for _ in range(RUNS):
                one.networks[0].run(shown.blob)
            times.append((time.process_time() - began) * 1e3 / RUNS)
        if turn:  # the first is warm-up
            print(
                f"| {turn} |", *(f"{each:.1f} |" for each in times), f"{times[0] / times[1]:.2f} |"
            )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--only", nargs="+", choices=TABLES, default=TABLES, metavar="TABLE")
    arguments = parser.parse_args()
    print(in_words(processor()))
    if {*arguments.only} - {"cost"}:
        shown = columns()
    if {"close", "small"} & {*arguments.only}:
        heads = read_heads()
        heads = heads[:: max(1, len(heads) // arguments.photos)][: arguments.photos]
        print(f"{len(heads)} photos")
    if "close" in arguments.only:
        recall("close: face / frame height", shown, close, HEIGHTS, heads)
    if "small" in arguments.only:
        recall("small: pixels on the canvas", shown, small, SIDES, heads)
    if "empty" in arguments.only:
        empty(shown)
    if "same" in arguments.only:
        same(shown["open"].engine, shown["det_2.5g"].engine)
    if "space" in arguments.only:
        space(shown["open"].engine, shown["starter"].engine)
    if "cost" in arguments.only:
        cost({name: resolve(name, Path("models")) for name in ("open", "starter")})


if __name__ == "__main__":
    main()
