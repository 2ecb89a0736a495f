"""One run of the bench: warm-up, load, bare runs."""

from __future__ import annotations

from face_service.errors import FaceServiceError

from .bare import BareProcess, Throughput
from .load import Plan, run_apart
from .report import Measured
from .server import Address, cpu_seconds, peak_rss_mb

WARM_UP = 16
"""Most requests that are sent, and not counted, before the measurement."""


def measure(
    server: Address, plan: Plan, images: list[bytes], limit: BareProcess | None, seconds: float
) -> Measured:
    """Warm the server up, then measure the load, between two measurements of bare runs.

    images: encoded. limit: the process of bare runs, None for none. seconds: of each of the two.
    Raises FaceServiceError where the server answers no image, StartupError where the process of
    bare runs has ended.
    """
    warm = run_apart(Plan(1, min(len(images), WARM_UP), 600), server.host, server.port, images)
    if not warm.latencies:
        raise FaceServiceError(f"the server answers no image: {warm.errors or 'too slow'}")
    around: list[Throughput] = [limit.run(seconds)] if limit else []
    pid = server.process.pid if server.process else None
    before = cpu_seconds(pid) if pid else None
    load = run_apart(plan, server.host, server.port, images)
    after = cpu_seconds(pid) if pid else None
    if limit:
        around.append(limit.run(seconds))
    return Measured(
        plan=plan,
        images=len(images),
        load=load,
        health=server.health(),
        server_cpu_seconds=None if before is None or after is None else after - before,
        peak_rss_mb=peak_rss_mb(pid) if pid else None,
        ready_seconds=server.ready_seconds,
        bare=around or None,
        run_counts=limit.run_counts if limit else None,
    )
