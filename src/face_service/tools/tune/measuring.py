"""A setting measured on a server, and the frames that it is given."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from face_service.errors import FaceServiceError
from face_service.tools.bench.frames import compose
from face_service.tools.bench.load import Plan
from face_service.tools.bench.measure import measure
from face_service.tools.bench.report import percentile
from face_service.tools.bench.server import Address, running
from face_service.tools.photos import read_photo

from .search import Figures, Variables

MIX = (0, 0, 1, 0, 0, 1, 0, 3, 0, 1)
"""Faces of the frames that stand for a video: of ten, six have none, three one, one has three."""
PORTRAIT = Path(__file__).parent.parent / "quantization" / "astronaut.jpg"
"""See `quantization.gate.PHOTOS`."""
MANY = 100_000
"""Requests: more than can be sent in the time of a measurement, which thus ends it."""
GATE_TIMEOUT = 600.0
"""Seconds; making one takes a minute or two of a processor."""


def video_frames() -> list[bytes]:
    """Ten frames of a video, 1920×1080 JPEG. Their faces are all of one person."""
    portrait = read_photo(PORTRAIT)
    return [compose([portrait] * faces, seed) for seed, faces in enumerate(MIX)]


class Bench:
    """Measures settings.

    images: encoded, sent in turn. clients: connections. seconds: of load with all of them.
    always: settings of every server. health: GET /health of the first server that was measured,
    empty before.
    """

    def __init__(
        self, images: Sequence[bytes], clients: int, seconds: float, always: Variables
    ) -> None:
        self.health: dict[str, Any] = {}
        self._images = list(images)
        self._clients = clients
        self._seconds = seconds
        self._always = always

    def __call__(self, variables: Variables) -> Figures:
        """Figures of a server with these settings on top of this environment's: `clients` for so
        many seconds, then one for half of that. Raises RuntimeError with the reason where it does
        not start or answers nothing."""
        try:
            with running({**self._always, **variables}) as server:
                wait_for_gate(server)
                plan = Plan(self._clients, MANY, self._seconds)
                together = measure(server, plan, self._images, None, 0)
                alone = measure(server, Plan(1, MANY, self._seconds / 2), self._images, None, 0)
        except FaceServiceError as error:
            raise RuntimeError(reason(str(error))) from error
        self.health = self.health or together.health
        if not together.load.latencies or not alone.load.latencies:
            raise RuntimeError(f"no answer: {together.load.errors or alone.load.errors}")
        return Figures(
            throughput=together.load.throughput,
            alone=alone.load.throughput,
            p50=1e3 * percentile(alone.load.latencies, 50),
            p95=1e3 * percentile(together.load.latencies, 95),
            memory=alone.peak_rss_mb,
        )


def wait_for_gate(server: Address) -> None:
    """Wait while the server makes its detector gate, GATE_TIMEOUT at most: that takes a processor,
    once for a pack."""
    until = time.monotonic() + GATE_TIMEOUT
    while time.monotonic() < until:
        if (server.health().get("gate") or {}).get("state") != "building":
            return
        time.sleep(0.5)


def reason(log: str) -> str:
    """The last line of a server's log that says anything, without its date and level."""
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1].rpartition(" - ")[2].strip() if lines else "it did not start"


def int8_of(model: str) -> str | None:
    """`./NAME-int8`, where the working folder has a pack of that name, NAME being that of `model`
    without its folder; else None."""
    folder = Path(f"{Path(model).name}-int8")
    manifest = folder / "manifest.json"
    try:
        return f"./{folder}" if json.loads(manifest.read_text()) else None
    except (OSError, ValueError):
        return None
