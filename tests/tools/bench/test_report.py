"""The figures of a run add up."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from face_service.tools.bench.load import Load, Plan, Sample
from face_service.tools.bench.report import Measured, as_dict, as_text, percentile


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(v) for v in range(1, 101)]
    assert [percentile(values[::-1], p) for p in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert [percentile([1.0, 2.0, 3.0, 4.0], p) for p in (25, 26, 50, 51)] == [1, 2, 2, 3]
    assert [percentile([7.0], p) for p in (1, 50, 100)] == [7, 7, 7]
    assert math.isnan(percentile([], 50))


def sample(status: int, latency: float, faces: int = 0, **stages: float) -> Sample:
    return Sample(status, latency, 0.0, faces, stages)


def report(samples: list[Sample], **others: Any) -> dict[str, Any]:
    load = Load(samples, seconds=2.0, cpu_seconds=0.5, unsent=1)
    parts: dict[str, Any] = {
        "plan": Plan(4, 6, 10),
        "images": 2,
        "health": {},
        "server_cpu_seconds": 3.0,
        "peak_rss_mb": None,
        "ready_seconds": None,
        "bare": None,
        "run_counts": None,
        **others,
    }
    return as_dict(Measured(load=load, **parts))


def test_failures_are_counted_and_do_not_flatter_the_latency() -> None:
    samples = [
        sample(200, 0.1, faces=1, decode=4.0),
        sample(200, 0.3, faces=2, decode=6.0, embed=8.0),
        sample(503, 0.001, decode=900.0),
        sample(0, 0.001),
        sample(503, 0.001),
    ]
    figures = report(samples)
    assert figures["errors"] == {"broken": 1, "503": 2}
    assert (figures["sent"], figures["answered"], figures["unsent"]) == (5, 2, 1)
    assert figures["requests_per_second"] == 1.0
    assert (figures["faces_per_second"], figures["faces_per_request"]) == (1.5, 1.5)
    assert figures["latency_ms"] == pytest.approx(
        {"mean": 200, "p50": 100, "p95": 300, "p99": 300, "max": 300}
    )
    assert figures["stages_ms"] == {"decode": 5.0, "embed": 4.0}
    assert figures["server_cpu_seconds_per_request"] == 1.5
    assert figures["client_cpu_seconds_per_request"] == 0.1


def test_a_report_without_a_single_answer_is_still_json() -> None:
    figures = report([sample(503, 0.1)])
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert figures["latency_ms"]["p50"] is None
    assert "unknown" in as_text(figures)
