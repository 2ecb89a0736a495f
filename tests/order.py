"""The order of the files: the longest first, for one that begins last leaves a processor idle; of
these, such as wait for the most part beside such as compute."""

from __future__ import annotations

from pathlib import Path

import pytest

LONGEST = (
    "test_accelerators.py",
    "platform/test_recovery.py",
    "hostile/test_faces.py",
    "tools/doctor/test_doctor.py",
    "offline/test_embed.py",
    "offline/test_on_ray.py",
    "test_load.py",
    "platform/test_page.py",
    "hostile/test_clients.py",
    "clients/test_typescript.py",
    "tools/test_operating_points.py",
    "test_installing.py",
    "test_recovery.py",
    "test_endurance.py",
    "test_openvino.py",
    "browser/test_access.py",
    "browser/test_demo.py",
    "hostile/test_waiting.py",
    "deploy/test_fleet.py",
    "hostile/test_memory.py",
    "deploy/test_ray_serve.py",
    "clients/test_samples.py",
    "platform/test_model_change.py",
    "platform/test_mishaps.py",
    "test_samples.py",
    "hostile/test_shutdown.py",
    "test_gate_supply.py",
    "packs/test_sources.py",
    "clients/test_python.py",
    "test_processors.py",
    "serving/test_event_loop.py",
    "browser/test_troubles.py",
    "hostile/test_requests.py",
    "hostile/test_long_pictures.py",
    "platform/test_code.py",
    "vision/test_closer.py",
    "platform/test_frames.py",
    "http/test_lifecycle.py",
    "hostile/test_connections.py",
    "platform/test_image.py",
    "hostile/test_outside.py",
    "observability/test_prometheus.py",
    "offline/test_isolation.py",
    "platform/test_growth.py",
    "platform/test_sessions.py",
    "clients/test_retries.py",
    "tools/test_quantization.py",
    "hostile/test_uploads.py",
    "runtime/test_shapes.py",
    "observability/test_tracing.py",
    "cli/test_tune.py",
    "cli/test_main.py",
    "platform/test_start.py",
    "cli/test_videos.py",
    "cli/test_detect_resume.py",
    "platform/test_uploads.py",
    "tools/test_gate.py",
    "tools/doctor/test_probing.py",
    "cli/test_compare.py",
    "routes/test_detect.py",
    "platform/test_platform.py",
    "hostile/test_decoders.py",
    "cli/test_bench.py",
    "hostile/test_slow_pictures.py",
    "platform/test_api.py",
    "cli/test_analysis.py",
    "test_gate.py",
)
"""Files of 8 seconds or more, where four processes ran the suite."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the LONGEST files."""
    ranks = {Path(__file__).parent / name: n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(LONGEST)))
