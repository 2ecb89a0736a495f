"""What the detector gate loses, and what it saves.

    .venv/bin/python -m benchmarks.studies.gate [--frames 120] [--embed 30] [--rounds 15]

Two engines, one with the gate always on, look at the composed frames of `canvas_agreement`: the
stand-in for buffalo_l, whose detector finds the faces of the official SCRFD-2.5G at the cost of
SCRFD-10G, and the starter pack. Makes the gates where they are missing, which takes minutes. Prints
a Markdown table: pasted faces that either finds, whether boxes, landmarks and scores of all frames,
and embeddings of the first `--embed`, are the same bit by bit, and the time of the gate on an empty
1920×1080 frame as a share of the detector's, in turn, medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable

import numpy as np

from benchmarks.frames import ROOT
from benchmarks.studies.canvas_agreement import FOUND, scenes
from benchmarks.studies.scenes import clipped, pairs
from face_service.engine_factory.builder import Canvases, build_engine
from face_service.engine_factory.gates import GateSupply, make_gate
from face_service.face_engine import Face, FaceEngine, Options
from face_service.packs.pack import Pack
from face_service.packs.store import resolve
from face_service.runtime.processor import in_words, processor
from face_service.runtime.providers import COMPILED, CPU, RuntimeConfig
from face_service.tools.bench.frames import background
from face_service.vision.blob import Image
from face_service.vision.canvas import allowed_canvases
from face_service.vision.detector import CLOSEUP

PACKS = (str(ROOT / ".oracle/packs/standin"), "starter")
CANVASES = Canvases(allowed_canvases(640), CLOSEUP)
CONFIG = RuntimeConfig(threads=2, cache=ROOT / "models" / COMPILED)
BOXES = Options(embeddings=False, attributes=False, quality=False)


def engines(pack: Pack, canvases: Canvases) -> tuple[FaceEngine, FaceEngine]:
    """The same engine without a gate, and with one that always runs."""
    make_gate(pack, canvases, CONFIG)
    plain, gated = (build_engine(pack, canvases, (CPU,), config=CONFIG) for _ in range(2))
    GateSupply("on", canvases, CONFIG).equip(gated, pack)
    assert gated.gate, "the gate was refused"
    return plain, gated


def same(one: Face, other: Face) -> bool:
    """Whether two faces are equal bit by bit."""
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("bbox", "score", "landmarks", "embedding")
    )


def seconds_of(call: Callable[[], object]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def time_of_empty(plain: FaceEngine, gated: FaceEngine, image: Image, rounds: int) -> list[float]:
    """Median milliseconds of finding nothing on a frame, without and with the gate."""
    both = (plain, gated)
    measured: list[list[float]] = [[], []]
    for turn in range(rounds):
        for place in (0, 1) if turn % 2 else (1, 0):
            call = lambda: both[place].analyse_image(image, BOXES)  # noqa: B023, E731
            measured[place].append(seconds_of(call) * 1e3)
    return [statistics.median(some) for some in measured]


def row(pack: Pack, frames: int, embed: int, rounds: int) -> str:
    """One line of the table."""
    fixed = pack.name == "starter"  # its detector takes 640×640 alone
    canvases = Canvases(CANVASES.allowed[:1], None) if fixed else CANVASES
    plain, gated = engines(pack, canvases)
    counts: Counter[str] = Counter()
    for number, scene in enumerate(scenes(frames)):
        options = Options(attributes=False) if number < embed else BOXES
        expected, found = (one.analyse_image(scene.image, options) for one in (plain, gated))
        truth = [clipped(box, scene.image) for box in scene.boxes]
        counts["pasted"] += len(truth)
        counts["fp32"] += len(pairs(truth, [clipped(f.bbox, scene.image) for f in expected], FOUND))
        counts["gate"] += len(pairs(truth, [clipped(f.bbox, scene.image) for f in found], FOUND))
        counts["all"] += len(expected)
        if found:
            equal = len(found) == len(expected) and all(map(same, expected, found))
            counts["differ"] += not equal
            counts["frames"] += 1
            counts["embeddings"] += sum(face.embedding is not None for face in found)
        else:
            counts["lost"] += len(expected)
    before, after = time_of_empty(plain, gated, background(1), rounds)
    policy = gated.gate and gated.gate.policy
    return (
        f"| {pack.name} | {counts['pasted']} | {counts['fp32']}, "
        f"{counts['fp32'] / counts['pasted']:.2%} | {counts['gate']}, "
        f"{counts['gate'] / counts['pasted']:.2%} | {counts['lost']} of {counts['all']} "
        f"| {counts['differ']} of {counts['frames']}, {counts['embeddings']} embeddings "
        f"| {before:.0f} | {after:.0f} | {after / before:.2f} "
        f"| {policy.cost if policy else 0:.2f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--embed", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--packs", nargs="+", default=PACKS)
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    print(
        "| pack | faces pasted | found without a gate | with it | faces lost | frames with other "
        "answers | empty frame without, ms | with | ratio | CPU time, one thread |\n"
        "|---|---|---|---|---|---|---|---|---|---|"
    )
    for name in arguments.packs:
        pack = resolve(name, ROOT / "models", None)
        print(row(pack, arguments.frames, arguments.embed, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
