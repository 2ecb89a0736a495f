"""The process that makes a detector gate: quantise, find the limit, judge, measure.

The limit of a gate is MARGIN times the least score that it gives to any face which the detector
finds at InsightFace's threshold, on frames that it was not calibrated on, but within LIMITS. On
further frames it is judged: which of the clear faces would be lost if each were alone on its frame.
Limit and judgement: docs/decisions/0024-gate.md.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from face_service.engine_factory.gates import FACTS, NETWORK, GateFacts
from face_service.errors import InvalidRequest
from face_service.packs.pack import sha256_of
from face_service.runtime.child_folder import fill_as_asked
from face_service.runtime.network import load_networks
from face_service.runtime.pixel_input import Normalization
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.tools.photos import photos_in, read_photo
from face_service.tools.quantization.calibration import MIN_CROPS, spread
from face_service.tools.quantization.frames import Head, frames, heads_of
from face_service.tools.quantization.network import quantize_network
from face_service.vision.blob import Image
from face_service.vision.boxes import iou
from face_service.vision.canvas import Size
from face_service.vision.detections import merge
from face_service.vision.detector import MIN_SCORE, DetectorInput, DetectorPreprocessor
from face_service.vision.image import set_up_opencv
from face_service.vision.scrfd import Scrfd

logger = logging.getLogger(__name__)

PHOTOS = ("solvay.jpg", "astronaut.jpg")
"""Beside this file: the Solvay conference of 1927 (Benjamin Couprie) at 0.6 of its size, and the
astronaut Eileen Collins (NASA, in colour); both in the public domain. `frames` makes many pictures
of their heads, in other sizes and colours."""
MOST_PHOTOS = 64
"""Of a folder in their place, evenly spread over it."""

CALIBRATION, LIMIT, TRIAL = (24, 1), (60, 2), (120, 3)
"""How many frames, and their seed: for the ranges, for the limit, for the judgement."""

CLEAR_SCORE = 0.55
MAX_LOST = 0.003
"""Share of the faces that the detector scores CLEAR_SCORE or more which a gate may lose."""
MARGIN = 0.6
LIMITS = (0.1, 0.3)
"""The least limit, since most empty frames would reach a lower one, and the largest, since a higher
one would save hardly more of them."""
FLOOR = 0.02
"""Least score of a box of the gate that is looked at."""
SAME = 0.4
"""Intersection over union from which the gate sees the same face as the detector."""
ROUNDS = 5
"""Runs of detector and gate, in turn, from which `relative_cost` takes medians."""


def make(request: Mapping[str, Any], folder: Path) -> None:
    """Write a gate for the detector of the request into `folder`: NETWORK and FACTS.

    request: of `gates.make_gate`. Raises InvalidRequest where the photos show fewer than MIN_CROPS
    faces or one cannot be read.
    """
    with suppress(OSError):
        os.nice(19)
        # Where memory is short the kernel ends this process, and not the service that it is for.
        Path("/proc/self/oom_score_adj").write_text("1000")
    set_up_opencv()
    config = RuntimeConfig(cache=Path(request["cache"]))
    detector = _open(request, Path(request["path"]), request["sha256"], config)
    photos = _photos(request["photos"])
    heads = [head for photo in photos for head in heads_of(photo, detector)]
    if len(heads) < MIN_CROPS:
        raise InvalidRequest(f"{len(heads)} faces on {len(photos)} photos; {MIN_CROPS} are needed")
    network = folder / NETWORK
    scenes = (*photos, *frames(heads, *CALIBRATION))
    blobs = (each.blob for scene in scenes for each in detector.preprocess(scene))
    quantize_network(Path(request["path"]), network, blobs, None)
    sha256 = sha256_of(network)
    gate = _open(request, network, sha256, config)
    facts = judge(detector, gate, heads, sha256)
    (folder / FACTS).write_text(json.dumps(asdict(facts)))


def _open(request: Mapping[str, Any], path: Path, sha256: str, config: RuntimeConfig) -> Scrfd:
    (network,) = load_networks([NetworkSpec(path, sha256, single=True)], (CPU,), config)
    said = request["normalization"]
    preprocessor = DetectorPreprocessor(
        tuple(Size(*size) for size in request["canvases"]),
        Size(*request["closeup"]) if request["closeup"] else None,
        Normalization(tuple(said["mean"]), said["std"], said["order"]),
    )
    return Scrfd(network, preprocessor)


def _photos(folder: str | None) -> list[Image]:
    if folder is None:
        return [read_photo(Path(__file__).with_name(name)) for name in PHOTOS]
    return [read_photo(path) for path in spread(photos_in(Path(folder)), MOST_PHOTOS)]


def judge(detector: Scrfd, gate: Scrfd, heads: Sequence[Head], sha256: str) -> GateFacts:
    """The limit of a gate, what it loses at that, and what it costs; refused where it loses more
    than MAX_LOST, or the detector finds no clear face. sha256: of the gate's file."""
    seen = [score for _, score in pairs_of_scores(detector, gate, frames(heads, *LIMIT))]
    limit = float(np.clip(MARGIN * min(seen, default=0.0), *LIMITS))
    trial = pairs_of_scores(detector, gate, frames(heads, *TRIAL))
    clear = [score for expected, score in trial if expected >= CLEAR_SCORE]
    lost = sum(score < limit for score in clear)
    refused = None
    if lost > MAX_LOST * len(clear):
        refused = f"it would lose {lost} of {len(clear)} faces; {MAX_LOST:.1%} are allowed"
    elif not clear:
        refused = "the detector finds no face to judge it by"
    cost = relative_cost(detector, gate, next(frames(heads, 1, 0)))
    return GateFacts(sha256, limit, MIN_SCORE, cost, len(clear), lost, refused)


def pairs_of_scores(
    detector: Scrfd, gate: Scrfd, images: Iterable[Image]
) -> Iterator[tuple[float, float]]:
    """For every face that the detector finds: its score, and the best that the gate gives to a box
    of the same face, 0 where it is below FLOOR."""
    for image in images:
        inputs = detector.preprocess(image)
        found = detector.detect(inputs)
        seen = merge([gate.candidates(each, FLOOR) for each in inputs])
        for box, score in zip(found.bboxes, found.scores, strict=True):
            same = iou(box, seen.bboxes) >= SAME
            yield float(score), float(seen.scores[same].max(initial=0.0))


def relative_cost(detector: Scrfd, gate: Scrfd, image: Image) -> float:
    """CPU time of the gate on an image as a share of the detector's: medians of ROUNDS, in turn."""
    inputs = detector.preprocess(image)
    seconds: dict[Scrfd, list[float]] = {detector: [], gate: []}
    for _ in range(ROUNDS):
        for one, measured in seconds.items():
            measured.append(_cpu_seconds(one, inputs))
    return statistics.median(seconds[gate]) / statistics.median(seconds[detector])


def _cpu_seconds(detector: Scrfd, inputs: Sequence[DetectorInput]) -> float:
    before = time.process_time()
    for each in inputs:
        detector.network.run(each.blob)
    return time.process_time() - before


if __name__ == "__main__":
    sys.exit(fill_as_asked(make))
