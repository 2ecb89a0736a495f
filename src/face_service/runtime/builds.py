"""Which build of ONNX Runtime is installed. All of them are the module `onnxruntime`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata

BUILDS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-migraphx",
    "onnxruntime-rocm",
    "onnxruntime-openvino",
    "onnxruntime-directml",
    "onnxruntime-qnn",
    "onnxruntime-training",
    "ort-nightly",
    "ort-nightly-gpu",
)
"""Packages that hold a module `onnxruntime`."""

STANDS_IN = "+see.onnxruntime."
"""In the version of a stand-in: a package `onnxruntime` that holds no module, so that the CPU build
is not installed over another one. docs/decisions/0020-one-onnxruntime.md says what retires it."""


def installed_builds() -> Mapping[str, str]:
    """Version by package of every build that is installed; there should be exactly one."""
    found = {}
    for name in BUILDS:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if STANDS_IN not in version:
            found[name] = version
    return found


def conflicting_builds(installed: Mapping[str, str], wanted: str) -> str | None:
    """The message where several builds are installed, with the command that repairs it; None for
    one or none.

    installed: of `installed_builds`. wanted: the package to keep.
    """
    if len(installed) < 2:
        return None
    both = " and ".join(f"{name} {version}" for name, version in installed.items())
    return (
        f"{both} are installed together, and all of them are the module onnxruntime: the last one "
        "has overwritten parts of the others. Repair it: "
        + reinstall_command(tuple(installed), wanted)
    )


def reinstall_command(installed: Sequence[str], wanted: str) -> str:
    """The shell command that replaces the packages `installed` by `wanted`."""
    remove = f"pip uninstall -y {' '.join(installed)} && " if installed else ""
    return f"{remove}pip install {wanted}"
