"""Writes wheels/, the stand-ins for `onnxruntime`: .venv/bin/python scripts/stand_ins.py

Every build of ONNX Runtime is the module `onnxruntime` under a name of its own, and no package
can say that it takes another's place. So each build gets a wheel called onnxruntime that holds
no file: where it is installed, the requirement `onnxruntime` is met and the CPU build stays
away. docs/decisions/0020-one-onnxruntime.md says why, and why this version.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

WHEELS = Path(__file__).parent.parent / "wheels"
BUILDS = ("directml", "gpu", "migraphx", "openvino", "rocm")
BASE = "1.20"
"""The lowest version that pyproject.toml asks for: every release is newer, and is preferred."""

METADATA = """\
Metadata-Version: 2.1
Name: onnxruntime
Version: {version}
Summary: Nothing in itself: onnxruntime-{build} has the module
Requires-Dist: onnxruntime-{build}
"""
"""The last line keeps it honest: it can only be where the build is, and a resolver that finds no
onnxruntime for a machine does not settle for an empty one."""
WHEEL = """\
Wheel-Version: 1.0
Generator: scripts/stand_ins.py
Root-Is-Purelib: true
Tag: py3-none-any
"""


def write_stand_in(build: str, folder: Path) -> Path:
    """The wheel of one build, the same to the byte wherever it is written."""
    version = f"{BASE}+see.onnxruntime.{build}"
    info = f"onnxruntime-{version}.dist-info"
    files = {
        f"{info}/METADATA": METADATA.format(version=version, build=build),
        f"{info}/WHEEL": WHEEL,
    }
    record = [f"{name},sha256={digest(text)},{len(text)}\n" for name, text in files.items()]
    files[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"])

    path = folder / f"onnxruntime-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)  # dated 1980
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text)
    return path


def digest(text: str) -> str:
    """SHA-256 as RECORD writes it: URL-safe base64 without padding."""
    raw = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


if __name__ == "__main__":
    WHEELS.mkdir(exist_ok=True)
    for build in BUILDS:
        sys.stdout.write(f"{write_stand_in(build, WHEELS)}\n")
