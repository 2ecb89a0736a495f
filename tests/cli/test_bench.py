"""`face-service bench`: what it prints for people and for programs, and what it refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def bench(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line, of bench."""
    return partial(run, "bench")


def test_a_real_server_under_a_closed_loop(bench, six_faces: Path) -> None:
    result = bench(six_faces, "--clients", 2, "--requests", 6, "--bare", 0.2, "--json")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["server"]["model"] == "open"
    assert (figures["sent"], figures["answered"], figures["unsent"]) == (6, 6, 0)
    assert (figures["errors"], figures["rate"], figures["late"]) == ({}, None, None)
    assert figures["requests_per_second"] == pytest.approx(6 / figures["seconds"])
    assert figures["faces_per_request"] == 6
    assert figures["faces_per_second"] == pytest.approx(6 * figures["requests_per_second"])
    latency = figures["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] == latency["max"]
    stages = figures["stages_ms"]
    assert {"decode", "queue", "detect", "align", "embed", "attributes"} <= set(stages)
    assert sum(stages.values()) <= latency["mean"]
    assert figures["server_cpu_seconds_per_request"] > figures["client_cpu_seconds_per_request"]
    assert figures["peak_rss_mb"] > 50
    assert figures["ready_seconds"] > 0
    bare = figures["bare_limit"]
    assert bare["images_per_second"] > 0
    assert bare["share"] == pytest.approx(
        figures["requests_per_second"] / bare["images_per_second"]
    )
    assert bare["runs"]["1×3×480×640"] == 1
    assert bare["runs"]["1×3×112×112"] == 6


def test_a_constant_rate_for_people_to_read(bench) -> None:
    result = bench("--rate", 4, "--seconds", 1, "--bare", 0)
    assert result.returncode == 0, result.stderr
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["arrivals"] == "4/s"
    assert lines["requests"].startswith("4 answered of 4")
    assert lines["faces"] == "0.00/s, 0.00 a request"
    assert "sent late" in result.stdout
    assert "bare limit" not in result.stdout


def test_a_running_server_is_taken_as_it_is(bench, server: Any, four_faces: Path) -> None:
    result = bench(four_faces, "--url", server.url, "--requests", 3, "--json")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["answered"] == 3
    assert figures["server"]["model"] == "open"
    assert [figures[name] for name in ("bare_limit", "ready_seconds", "peak_rss_mb")] == [None] * 3
    assert server.process.poll() is None


def test_a_server_elsewhere_is_refused_before_anything_is_sent(bench) -> None:
    result = bench("--url", "http://192.0.2.1:8100")
    assert result.returncode == 2
    assert "only http on this machine" in result.stderr


def test_a_pack_that_is_not_there_is_one_sentence(bench, tmp_path: Path) -> None:
    result = bench("--model", f"{tmp_path}/none", "--requests", 1)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert str(tmp_path / "none") in result.stderr
