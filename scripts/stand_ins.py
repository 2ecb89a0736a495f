"""Writes wheels/, the stand-ins for `onnxruntime`: .venv/bin/python scripts/stand_ins.py

Every build of ONNX Runtime is the module `onnxruntime` under a name of its own, and no package
can say that it takes another's place. So each build gets a wheel called onnxruntime that holds
no file: where it is installed, the requirement `onnxruntime` is met and the CPU build stays
away. docs/decisions/0020-one-onnxruntime.md says why, and why these versions and tags.
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
PYTHONS = ("cp311", "cp312", "cp313", "cp314")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_28_x86_64", "win_amd64")
"""Where the CPU build has wheels too. On any other machine nothing must be found: an empty
onnxruntime would be taken for the real one."""

METADATA = """\
Metadata-Version: 2.1
Name: onnxruntime
Version: {version}
Summary: Nothing in itself: onnxruntime-{build} has the module
Requires-Dist: onnxruntime-{build}
"""
WHEEL = """\
Wheel-Version: 1.0
Generator: scripts/stand_ins.py
Root-Is-Purelib: true
"""


def write_stand_in(build: str, folder: Path) -> Path:
    """The wheel of one build, the same to the byte wherever it is written."""
    version = f"{BASE}+see.onnxruntime.{build}"
    info = f"onnxruntime-{version}.dist-info"
    tags = [f"Tag: {python}-none-{platform}\n" for python in PYTHONS for platform in PLATFORMS]
    files = {
        f"{info}/METADATA": METADATA.format(version=version, build=build),
        f"{info}/WHEEL": WHEEL + "".join(tags),
    }
    record = [f"{name},sha256={digest(text)},{len(text)}\n" for name, text in files.items()]
    files[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"])

    name = f"onnxruntime-{version}-{'.'.join(PYTHONS)}-none-{'.'.join(PLATFORMS)}.whl"
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, text in files.items():
            entry = zipfile.ZipInfo(path)  # dated 1980
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text)
    return folder / name


def digest(text: str) -> str:
    """SHA-256 as RECORD writes it: URL-safe base64 without padding."""
    raw = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


if __name__ == "__main__":
    WHEELS.mkdir(exist_ok=True)
    for build in BUILDS:
        sys.stdout.write(f"{write_stand_in(build, WHEELS)}\n")
