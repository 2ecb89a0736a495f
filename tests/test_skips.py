"""CI is not green without what .ci/run installs; a newcomer's run is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

TESTS = """
import pytest
def test_that_wants_a_program():
    pytest.skip("jq is not installed")
def test_that_wants_photos():
    pytest.skip("../shared is not here: its photos cannot be published")
@pytest.fixture
def tab():
    pytest.skip("no Chromium on this machine: Debian's package is called chromium")
def test_in_a_browser(tab):
    pass
"""


@pytest.mark.parametrize(
    ("environment", "status", "counted"),
    [
        pytest.param({}, 0, "3 skipped", id="a newcomer"),
        pytest.param({"CI": "true"}, 1, "1 failed, 1 skipped, 1 error", id="CI"),
    ],
)
def test_a_program_that_ci_installs_is_not_missing_there(
    tmp_path: Path, environment: dict[str, str], status: int, counted: str
) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-m", "pytest", "-p", "tests.skips", "-rs", "test_some.py"]
    done = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True)
    assert done.returncode == status, done.stdout
    assert counted in done.stdout.splitlines()[-1]
    assert "cannot be published" in done.stdout, "every skip is told with its reason"
