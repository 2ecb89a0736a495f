"""Node, Bun and the TypeScript compiler, as clients/typescript/package.json asks for them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from face_service.packs.sources import CA_BUNDLES

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
            env={**os.environ, **certificates(), **environment},
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


def certificates() -> Mapping[str, str]:
    """Node trusts a list of its own; behind a company's proxy only the machine's is right."""
    bundle = next(filter(os.path.isfile, CA_BUNDLES), None)
    return {"NODE_EXTRA_CA_CERTS": bundle} if bundle else {}


def install() -> Workshop:
    """What package-lock.json pins, installed unless it is already. Skips where it cannot be."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not on the PATH (Debian packages nodejs, npm)")
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    found = re.match(r"v(\d+)", version)
    if not found or int(found[1]) < NODE:
        pytest.skip(f"Node {NODE} or newer is needed, this one is {version}")

    workshop, stamp = Workshop(node, npm), PROJECT / "node_modules" / ".stamp"
    lock = (PROJECT / "package-lock.json").read_bytes()
    wanted = f"{hashlib.sha256(lock).hexdigest()} {version} {PROJECT}"
    if not stamp.is_file() or stamp.read_text() != wanted:
        done = workshop.run([npm, "ci", "--no-audit", "--no-fund"])
        if done.returncode:
            last = "\n".join(done.stderr.strip().splitlines()[-8:])
            pytest.skip(f"npm ci in {PROJECT} failed, so nothing of it was tested:\n{last}")
        stamp.write_text(wanted)
    return workshop
