"""What is installed: Python, packages, builds of ONNX Runtime, the libraries of accelerators."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

from face_service.runtime.builds import (
    BUILDS,
    conflicting_builds,
    installed_builds,
    reinstall_command,
)

from .hardware import content
from .probing import run

PACKAGES = (
    "numpy", "opencv-python-headless", "opencv-python", "pillow", "pi-heif", "pillow-heif",
    "simplejpeg", "fastapi", "uvicorn", "pydantic", "pip",
)  # fmt: skip
"""Packages whose versions have mattered. opencv-python is the same module as the headless one."""

LIBRARY = re.compile(
    r"lib(cuda|cudart|cublas|cudnn|nvinfer|amdhip64|MIOpen|migraphx_c|openvino)\.so\.(\d[\d.]*)"
)
"""File names of the libraries of accelerators: name and version."""
WHEELS = re.compile(r"nvidia-(cuda-runtime|cublas|cudnn)(-cu\d+)?|tensorrt(-cu\d+)?")
"""Packages that hold such libraries where CUDA comes from pip."""
LDCONFIG_SECONDS = 10.0
"""Time limit of ldconfig."""


@dataclass(frozen=True, slots=True)
class Build:
    """ONNX Runtime as it is installed, found without importing it.

    installed: version by package. folder: where Python finds the module, None where it does not.
    home: where the package has put it, None where no package is installed.
    """

    installed: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    home: Path | None = None

    @property
    def hidden(self) -> bool:
        """Whether Python finds another module than the one that is installed."""
        return bool(self.folder and self.home and self.folder.resolve() != self.home.resolve())


def python() -> str:
    """Python's implementation and version: `CPython 3.11.7`."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def packages() -> dict[str, str]:
    """Version by package of those of PACKAGES that are installed."""
    return versions(PACKAGES)


def versions(names: Sequence[str]) -> dict[str, str]:
    """Version by package of those that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def build() -> Build:
    """Which build of ONNX Runtime there is, and where."""
    installed = installed_builds()
    spec = PathFinder.find_spec("onnxruntime")
    places = list(spec.submodule_search_locations or ()) if spec else []
    home = None
    if installed:
        home = Path(str(metadata.distribution(next(iter(installed))).locate_file("onnxruntime")))
    return Build(installed, Path(places[0]) if places else None, home)


def repair(build: Build, asked: Sequence[str], why: str) -> str:
    """What to do where the module onnxruntime cannot be imported. asked: ONNX_PROVIDERS. why: the
    error of the import."""
    if build.hidden:
        own = " and ".join(f"{name} {version}" for name, version in build.installed.items())
        return (
            f"remove {build.folder} from where Python looks (PYTHONPATH): it hides {own}, and "
            f"cannot be loaded: {why}"
        )
    command = reinstall_command(installed_packages(), package_for(build, asked))
    return f"{command} (onnxruntime cannot be loaded: {why})"


def clashing(build: Build, asked: Sequence[str]) -> str | None:
    """What to do where several builds are installed; None where there is one or none. asked:
    ONNX_PROVIDERS, which decides the build that is kept."""
    return conflicting_builds(build.installed, package_for(build, asked))


def package_for(build: Build, asked: Sequence[str]) -> str:
    """The package of the first provider of `asked` beside the CPU; without one the build that is
    installed, or the CPU's where there is none or several."""
    from face_service.runtime.providers import CPU, PROVIDERS

    for name in asked:
        if name != CPU and name in PROVIDERS:
            return PROVIDERS[name].package
    return next(iter(build.installed)) if len(build.installed) == 1 else PROVIDERS[CPU].package


def installed_packages() -> tuple[str, ...]:
    """Names of the installed packages of ONNX Runtime, of those in BUILDS. The empty stand-ins
    (wheels/) are among them: pip does not tell them from the real ones."""
    return tuple(versions(BUILDS))


def libraries(
    root: Path = Path("/"), environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Version by name of the libraries of accelerators: those in the linker's cache and path, in
    ROCm's folder, and in packages of pip."""
    found: dict[str, set[str]] = {}
    for name in [*linker_cache(), *in_search_path(environment.get("LD_LIBRARY_PATH", ""))]:
        if library := LIBRARY.fullmatch(name):
            found.setdefault(f"lib{library[1]}", set()).add(library[2])
    listed = {name: " and ".join(sorted(numbers)) for name, numbers in sorted(found.items())}
    rocm = content(Path(environment.get("ROCM_PATH") or root / "opt/rocm") / ".info/version")
    wheels = {
        name: item.version
        for item in metadata.distributions()
        if (name := item.name) and WHEELS.fullmatch(name)
    }
    return {**({"ROCm": rocm} if rocm else {}), **listed, **dict(sorted(wheels.items()))}


def linker_cache() -> Iterator[str]:
    """File names of the libraries in the linker's cache; none where ldconfig cannot be run."""
    for program in ("/sbin/ldconfig", "ldconfig"):
        if ended := run([program, "-p"], LDCONFIG_SECONDS):
            yield from re.findall(r"^\s+(\S+) \(", ended.out, re.M)
            return


def in_search_path(path: str) -> Iterator[str]:
    """File names of the shared libraries in the folders of `path`, separated by colons as in
    LD_LIBRARY_PATH."""
    for folder in filter(None, path.split(":")):
        yield from (file.name for file in Path(folder).glob("lib*.so.*"))
