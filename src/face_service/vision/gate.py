"""The detector gate: the detector in int8, which recognises most frames without a face.

Where it sees nothing, the detector itself need not run; where there may be a face, the detector
decides as if there were no gate. `tools/quantization/gate.py` makes one and finds its limit.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from face_service.runtime.network import Network

from .canvas import Size
from .closer import Timed
from .detections import Detections, merge, suppress
from .detector import STRIDES, Detector, DetectorInput
from .gate_policy import SKIPPED, GatePolicy, Verdict

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Gate:
    """The gate of one engine. To be used by one thread at a time, the engine's.

    limit: score, 0..1, from which on there may be a face. min_score: least `min_score` of a request
    that it can serve: fainter faces than that may be below the limit. failed: a run has raised an
    error, and the gate is not used any more.
    """

    network: Network
    limit: float
    min_score: float
    policy: GatePolicy
    failed: bool = False

    def look(
        self, inputs: Sequence[DetectorInput], min_score: float, timed: Timed
    ) -> Generator[None, None, Verdict]:
        """The verdict on an image, by the inputs that the detector would get. Pauses between two
        runs, each of which is inside `timed`. Raises nothing: after an error of the network the
        verdict is "skipped" from then on."""
        if self.failed or min_score < self.min_score or not self.policy.running:
            return "skipped"
        try:
            # The largest canvas first, where most faces are: the first that shows one decides.
            for number, each in enumerate(reversed(inputs)):
                if number:
                    yield
                with timed():
                    if self._best_score(each) >= self.limit:
                        return "perhaps"
        except Exception:
            logger.exception("The detector gate has failed and is not used any more")
            self.failed = True
            return "skipped"
        return "empty"

    def _best_score(self, detector_input: DetectorInput) -> float:
        outputs = self.network.run(detector_input.blob)
        return max(float(scores.max()) for scores in outputs[: len(STRIDES)])

    def record(self, verdict: Verdict, min_score: float, empty: bool) -> None:
        """Pass the verdict on an image to the policy, and whether it was without a face. An image
        whose request has a `min_score` that the gate cannot serve is not counted."""
        if min_score >= self.min_score:
            self.policy.record(verdict, empty)

    def warm_up(self, sizes: Iterable[Size]) -> None:
        """Run once on each canvas."""
        for size in sizes:
            self.network.run(np.zeros((1, 3, size.height, size.width), np.float32))


def detect(
    detector: Detector,
    gate: Gate | None,
    inputs: Sequence[DetectorInput],
    min_score: float,
    timed: Timed,
) -> Generator[None, None, tuple[Detections, Verdict]]:
    """Every face of a preprocessed image whose score is at least `min_score`, none if the gate
    finds the image empty, and the gate's verdict. Pauses between two runs, each of which is inside
    `timed`. Raises what `Network.run` raises for the detector."""
    verdict = SKIPPED
    if gate and inputs:
        verdict = yield from gate.look(inputs, min_score, timed)
        if verdict == "perhaps":
            yield
    passes = []
    seen = inputs if verdict != "empty" else ()
    for each in seen[:-1]:
        with timed():
            passes.append(detector.candidates(each, min_score))
        yield
    with timed():
        passes += [detector.candidates(each, min_score) for each in seen[-1:]]
        found = suppress(merge(passes))
    if gate and inputs:
        gate.record(verdict, min_score, empty=not len(found))
    return found, verdict
