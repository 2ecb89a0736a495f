"""The code of platform/: types, lints, the tests of its rules, its lock file."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from .conftest import PLATFORM


@pytest.mark.parametrize(
    "command",
    [["tsc"], ["biome", "check", "--error-on-warnings"], ["bun", "test", "test"]],
    ids=lambda command: command[0],
)
def test_it_passes(bun: Path, command: list[str]) -> None:
    program = bun.with_name(command[0])
    done = subprocess.run(
        [program, *command[1:]], cwd=PLATFORM, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lock_file_names_no_registry() -> None:
    packages = json.loads((PLATFORM / "package-lock.json").read_text())["packages"]
    assert len(packages) > 50
    assert not [package for package in packages.values() if "resolved" in package]
    assert all("integrity" in package for name, package in packages.items() if name)


def test_modules_are_short() -> None:
    """As those of the service are."""
    for path in (PLATFORM / "src").rglob("*.ts"):
        text = path.read_text()
        assert len(text.splitlines()) <= 320, path


def test_every_setting_is_in_the_table(bun: Path) -> None:
    settings = re.findall(
        r"^  ([A-Z_]+): Type\.", (PLATFORM / "src" / "config.ts").read_text(), re.M
    )
    assert len(settings) > 15
    table = (PLATFORM / "README.md").read_text()
    assert [name for name in settings if f"`{name}`" not in table] == []
