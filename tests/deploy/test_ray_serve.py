"""examples/ray_serve on a real Ray: warm before it is HEALTHY, never with a bad pack, and the
service's own 429."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from face_service.packs.pack import Pack
from tests.conftest import ROOT

PYTHON = ROOT / ".ray/bin/python"


def test_the_example_is_as_its_page_says(four_faces: Path, open_pack: Pack, tmp_path: Path) -> None:
    if not PYTHON.exists():
        pytest.skip("no Ray: scripts/ray.sh installs it (900 MB) into .ray")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "INSIGHTFACE_MODEL": "open",
        "MODEL_CACHE_DIR": str(open_pack.directory.parent),
        "MAX_QUEUE": "2",
        "DET_GATE": "off",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
    }
    done = subprocess.run(
        [PYTHON, "-m", "tests.deploy.ray_serve", four_faces],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["first"] == [200, 4], "the first request finds it warm"
    assert told["ready"] == {"status": "healthy"}
    assert told["statuses"] == [200, 429]
    assert told["refused"] == [["overloaded", True]]
    assert told["good"] == ["RUNNING", "HEALTHY"]
    assert told["bad"] != "it runs"
    assert "HEALTHY" not in told["bad status"]
    assert "RUNNING" not in told["bad status"]
    assert told["still"] == 200
