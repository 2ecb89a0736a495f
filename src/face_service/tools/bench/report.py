"""The report of a run of the bench, as text and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .bare import RunCounts, Throughput
from .load import Load, Plan


@dataclass(frozen=True, slots=True)
class Measured:
    """The parts of a report.

    images: number of different images. health: the server's GET /health. server_cpu_seconds: CPU
    time during the load. peak_rss_mb: 10^6 bytes. ready_seconds: from the start of the process;
    these three None where they cannot be known. bare: before and after the load, None if it was not
    measured.
    """

    plan: Plan
    images: int
    load: Load
    health: dict[str, Any]
    server_cpu_seconds: float | None
    peak_rss_mb: float | None
    ready_seconds: float | None
    bare: list[Throughput] | None
    run_counts: RunCounts | None


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that `percent` (0..100] of them do not exceed; nan of none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean; nan of none."""
    return sum(values) / len(values) if values else math.nan


def as_dict(measured: Measured) -> dict[str, Any]:
    """The report in the types of JSON. Numbers that are unknown are None."""
    load, plan = measured.load, measured.plan
    answered = len(load.latencies)
    faces = sum(sample.faces for sample in load.samples)
    milliseconds = [latency * 1e3 for latency in load.latencies]
    report = {
        "server": {
            name: measured.health.get(name)
            for name in ("version", "model", "onnx_providers", "threads", "precision")
        },
        "images": measured.images,
        "clients": plan.clients,
        "rate": plan.rate,
        "sent": len(load.samples),
        "answered": answered,
        "errors": load.errors,
        "unsent": load.unsent,
        "seconds": load.seconds,
        "requests_per_second": load.throughput,
        "faces_per_second": faces / load.seconds,
        "faces_per_request": faces / answered if answered else None,
        "latency_ms": {
            "mean": mean(milliseconds),
            **{f"p{p}": percentile(milliseconds, p) for p in (50, 95, 99)},
            "max": max(milliseconds, default=math.nan),
        },
        "late": late(load) if plan.rate else None,
        "stages_ms": stages(load),
        "server_cpu_seconds_per_request": per(measured.server_cpu_seconds, answered),
        "client_cpu_seconds_per_request": per(load.cpu_seconds, len(load.samples)),
        "peak_rss_mb": measured.peak_rss_mb,
        "ready_seconds": measured.ready_seconds,
        "bare_limit": bare_limit(measured),
    }
    cleaned: dict[str, Any] = without_nan(report)
    return cleaned


def late(load: Load) -> dict[str, float]:
    """The number of requests sent more than 5 ms after they were due, and the largest delay in
    milliseconds."""
    delays = [sample.late * 1e3 for sample in load.samples]
    return {"requests": sum(delay > 5 for delay in delays), "max_ms": max(delays, default=0.0)}


def stages(load: Load) -> dict[str, float]:
    """Mean milliseconds by stage, of the requests that were answered with 200."""
    good = [sample.stages for sample in load.samples if sample.status == 200]
    names = dict.fromkeys(name for times in good for name in times)
    return {name: mean([times.get(name, 0.0) for times in good]) for name in names}


def per(total: float | None, count: int) -> float | None:
    """`total / count`; None where `total` is unknown or `count` 0."""
    return total / count if total is not None and count else None


def bare_limit(measured: Measured) -> dict[str, Any] | None:
    """Images per second of the bare runs, and the share of it, 0..1, that the server reached; None
    where they were not measured."""
    if not measured.bare or not measured.run_counts:
        return None
    rate = sum(b.images for b in measured.bare) / sum(b.seconds for b in measured.bare)
    return {
        "images_per_second": rate,
        "ms_per_image": 1e3 / rate,
        "runs": measured.run_counts.calls,
        "share": measured.load.throughput / rate,
    }


def without_nan(value: Any) -> Any:
    """The same with None for nan, which JSON does not have, also in dicts within dicts."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def as_text(report: dict[str, Any]) -> str:
    """The report as text, a line for each figure. report: of `as_dict`."""
    return "\n".join(f"{name:<16}{text}" for name, text in figures(report).items() if text)


def figures(report: dict[str, Any]) -> dict[str, str]:
    """The text of each line by its name; empty for a line that is left out."""
    server, late, bare = report["server"], report["late"], report["bare_limit"]
    errors = ", ".join(f"{n} × {status}" for status, n in report["errors"].items())
    return {
        "server": ", ".join(f"{name} {value}" for name, value in server.items() if value),
        "arrivals": f"{report['rate']:g}/s" if report["rate"] else "closed loop",
        "clients": f"{report['clients']}, {report['images']} images in turn",
        "requests": f"{report['answered']} answered of {report['sent']} "
        f"in {report['seconds']:.1f} s",
        "errors": errors,
        "unsent": f"{report['unsent']}, time was up" if report["unsent"] else "",
        "throughput": f"{report['requests_per_second']:.2f} requests/s",
        "faces": f"{report['faces_per_second']:.2f}/s, "
        f"{number(report['faces_per_request'], '.2f')} a request",
        "latency": milliseconds(report["latency_ms"], ".0f"),
        "sent late": f"{late['requests']} requests, at most {late['max_ms']:.0f} ms"
        if late
        else "",
        "stages": milliseconds(report["stages_ms"], ".1f"),
        "server CPU": f"{number(report['server_cpu_seconds_per_request'], '.3f')} s a request",
        "client CPU": f"{number(report['client_cpu_seconds_per_request'], '.4f')} s a request",
        "peak memory": f"{number(report['peak_rss_mb'], ',.0f')} MB",
        "start to ready": f"{number(report['ready_seconds'], '.1f')} s",
        "bare limit": f"{bare['images_per_second']:.2f} images/s ({bare['ms_per_image']:.1f} ms "
        f"each), of which the server reached {bare['share']:.1%}"
        if bare
        else "",
        "bare runs": ", ".join(f"{n} of {shape}" for shape, n in bare["runs"].items())
        if bare
        else "",
    }


def milliseconds(times: dict[str, float | None], form: str) -> str:
    """Times by name on one line, each by the format `form`."""
    return ", ".join(f"{name} {number(value, form)} ms" for name, value in times.items())


def number(value: float | None, form: str) -> str:
    """A number by the format `form`, or `unknown` for None."""
    return "unknown" if value is None else format(value, form)
