"""The order of the files: the longest first. One that begins last leaves a processor idle."""

from __future__ import annotations

from pathlib import Path

import pytest

LONGEST = (
    "test_load.py",
    "offline/test_on_ray.py",
    "deploy/test_fleet.py",
    "deploy/test_ray_serve.py",
    "offline/test_embed.py",
    "clients/test_typescript.py",
    "test_accelerators.py",
    "tools/test_operating_points.py",
    "tools/test_evaluation.py",
    "tools/doctor/test_doctor.py",
    "cli/test_detect_resume.py",
    "test_samples.py",
    "platform/test_recovery.py",
    "hostile/test_faces.py",
    "test_gate_supply.py",
    "test_gate.py",
    "hostile/test_inputs.py",
    "hostile/test_waiting.py",
    "hostile/test_outside.py",
    "clients/test_samples.py",
    "test_processors.py",
    "test_openvino.py",
    "test_parity.py",
    "test_endurance.py",
    "hostile/test_clients.py",
    "test_recovery.py",
    "browser/test_demo.py",
    "browser/test_access.py",
    "browser/test_troubles.py",
    "cli/test_main.py",
    "hostile/test_connections.py",
    "tools/test_quantization.py",
    "hostile/test_memory.py",
    "hostile/test_shutdown.py",
    "cli/test_compare.py",
    "cli/test_bench.py",
    "hostile/test_uploads.py",
    "platform/test_api.py",
    "cli/test_tune.py",
    "clients/test_python.py",
    "platform/test_code.py",
    "hostile/test_long_pictures.py",
    "hostile/test_stderr.py",
    "test_containers.py",
)
"""Files of 20 seconds or more where two processes run the suite."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the LONGEST files."""
    ranks = {Path(__file__).parent / name: n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(LONGEST)))
