"""The order of the files: the longest first. One that begins last leaves a processor idle."""

from __future__ import annotations

from pathlib import Path

import pytest

LONGEST = (
    "offline/test_on_ray.py",
    "test_accelerators.py",
    "test_samples.py",
    "platform/test_recovery.py",
    "tools/doctor/test_doctor.py",
    "test_load.py",
    "test_parity.py",
    "test_openvino.py",
    "deploy/test_fleet.py",
    "hostile/test_faces.py",
    "hostile/test_waiting.py",
    "tools/test_operating_points.py",
    "test_endurance.py",
    "platform/test_mishaps.py",
    "clients/test_typescript.py",
    "test_recovery.py",
    "hostile/test_outside.py",
    "test_installing.py",
    "hostile/test_inputs.py",
    "hostile/test_requests.py",
    "tools/test_gate.py",
    "hostile/test_shutdown.py",
    "hostile/test_clients.py",
    "deploy/test_ray_serve.py",
    "clients/test_samples.py",
    "test_processors.py",
    "browser/test_access.py",
    "offline/test_embed.py",
    "hostile/test_memory.py",
    "platform/test_model_change.py",
    "tools/test_evaluation.py",
    "browser/test_troubles.py",
    "platform/test_frames.py",
    "browser/test_demo.py",
    "hostile/test_connections.py",
    "platform/test_code.py",
    "platform/test_platform.py",
    "test_gate_supply.py",
    "http/test_lifecycle.py",
    "platform/test_sessions.py",
    "platform/test_page.py",
    "hostile/test_long_pictures.py",
    "vision/test_closer.py",
    "routes/test_detect.py",
    "hostile/test_uploads.py",
    "clients/test_retries.py",
    "cli/test_bench.py",
    "observability/test_service_log.py",
    "cli/test_tune.py",
    "hostile/test_stderr.py",
    "tools/test_quantization.py",
    "clients/test_python.py",
    "cli/test_completion.py",
    "cli/test_analysis.py",
    "packs/test_sources.py",
    "test_schema.py",
    "runtime/test_mapped.py",
    "platform/test_image.py",
    "platform/test_tags.py",
    "platform/test_uploads.py",
    "tools/test_pack_comparison.py",
    "cli/test_main.py",
    "runtime/test_shapes.py",
    "cli/test_detect_resume.py",
    "platform/test_start.py",
    "cli/test_compare.py",
    "platform/test_api.py",
    "serving/test_event_loop.py",
    "test_gate.py",
    "test_parity_v2.py",
    "tools/doctor/test_probing.py",
)
"""Files of 10 seconds or more, where three processes ran the suite."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the LONGEST files."""
    ranks = {Path(__file__).parent / name: n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(LONGEST)))
