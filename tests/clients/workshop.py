"""Node, Bun and the TypeScript compiler, as clients/typescript/package.json asks for them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import npm

PROJECT = Path(__file__).resolve().parents[2] / "clients" / "typescript"
NODE = 20
"""Oldest major version the client is for."""


@dataclass(frozen=True)
class Workshop:
    """What was installed into clients/typescript/node_modules."""

    node: str
    npm: str

    @property
    def runtimes(self) -> dict[str, list[str]]:
        """How each runtime starts a script."""
        return {"node": [self.node], "bun": [self.tool("bun"), "run"]}

    def tool(self, name: str) -> str:
        """A program of a package."""
        return str(PROJECT / "node_modules" / ".bin" / name)

    def run(
        self, command: list[str], folder: Path = PROJECT, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; its output is not looked at."""
        return subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **npm.certificates(), **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def do(self, command: list[str], folder: Path = PROJECT, **environment: str) -> str:
        """Run a program, which must succeed. What it printed."""
        done = self.run(command, folder, **environment)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def install() -> Workshop:
    """What package-lock.json pins, installed unless it is already. Skips where it cannot be."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not on the PATH (Debian package nodejs)")
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    found = re.match(r"v(\d+)", version)
    if not found or int(found[1]) < NODE:
        pytest.skip(f"Node {NODE} or newer is needed, this one is {version}")

    npm.install(PROJECT, version)
    return Workshop(node, npm.npm())
