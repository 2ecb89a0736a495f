"""The bare limit: the networks alone, on exactly what the engine gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from face_service.face_engine import FaceEngine
from face_service.runtime.network import Network
from face_service.tools.bench import frames
from face_service.tools.bench.bare import loop, record

PIXELS = 10_000_000


def test_the_bare_limit_runs_exactly_what_the_engine_runs(
    engine: FaceEngine, six_faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [six_faces.read_bytes(), frames.compose([], 0)]
    recorded, run_counts = record(engine, images, PIXELS)
    assert run_counts.faces == 6
    # On a CPU, a face a run.
    assert run_counts.calls == {
        "1×3×640×640": 2,
        "1×3×112×112": 6,
        "1×3×64×64": 6,
        "1×3×32×32": 6,
    }
    assert [len(calls) for calls in recorded] == [19, 1]
    seen: list[Any] = []
    original = Network.run
    monkeypatch.setattr(Network, "run", lambda n, blob: seen.append((n, blob)) or original(n, blob))
    done = loop(recorded, 0.0)
    assert done.images == 2
    assert done.throughput > 0
    expected = [call for calls in recorded for call in calls]
    assert len(seen) == len(expected)
    for (network, blob), call in zip(seen, expected, strict=True):
        assert network is call.network
        assert np.array_equal(blob, call.blob)
