"""npm as the projects under clients/ and platform/ need it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from filelock import FileLock

from face_service.packs.sources import CA_BUNDLES


def npm() -> str:
    """Where npm is. Skips where it is not."""
    found = shutil.which("npm")
    if found is None:
        pytest.skip("npm is not on the PATH (Debian package npm)")
    return found


def certificates() -> Mapping[str, str]:
    """Node trusts a list of its own; behind a company's proxy only the machine's is right."""
    bundle = next(filter(os.path.isfile, CA_BUNDLES), None)
    return {"NODE_EXTRA_CA_CERTS": bundle} if bundle else {}


def install(project: Path, also: str = "") -> Path:
    """What the project's package-lock.json pins; at most one test process installs at a time.

    Args:
        project: Folder of package.json and package-lock.json.
        also: What else the installation belongs to, such as a version of Node.

    Returns:
        The stamp in node_modules, written when all was there. Skips where npm fails.
    """
    stamp = project / "node_modules" / ".stamp-of-tests"
    lock = (project / "package-lock.json").read_bytes()
    wanted = f"{hashlib.sha256(lock).hexdigest()} {also} {project}"
    name = hashlib.sha256(bytes(project)).hexdigest()[:16]
    with FileLock(Path(tempfile.gettempdir()) / f"npm-ci-{name}.lock"):
        if not stamp.is_file() or stamp.read_text() != wanted:
            done = subprocess.run(
                [npm(), "ci", "--no-audit", "--no-fund"],
                cwd=project,
                env={**os.environ, **certificates()},
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            if done.returncode:
                last = "\n".join(done.stderr.strip().splitlines()[-8:])
                pytest.skip(f"npm ci in {project} failed, so nothing of it was tested:\n{last}")
            stamp.write_text(wanted)
    return stamp
