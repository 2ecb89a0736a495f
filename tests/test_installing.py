"""One build of ONNX Runtime at a time: uv and pip for real, in environments of their own."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from scripts.stand_ins import BUILDS, WHEELS, write_stand_in

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
UNREACHABLE = re.compile(r"client error \(Connect\)|dns error|operation timed out", re.IGNORECASE)
BUILDS_SEEN = (
    "from face_service.runtime.builds import installed_builds; print(list(installed_builds()))"
)
AARCH64 = b"\xb7\x00"
"""e_machine of an ELF file: EM_AARCH64, 183, little-endian."""
VERIFY = "import onnxruntime; print(onnxruntime.get_available_providers())"


def find_uv() -> str:
    """The uv that scripts/bootstrap.sh finds, or has fetched."""
    found = shutil.which("uv") or shutil.which("uv", path=ROOT / ".tools/bin")
    assert found, "test.sh fetches it"
    return found


def uv(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [find_uv(), *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    if UNREACHABLE.search(done.stderr):
        pytest.skip("no package registry can be reached")
    return done


@dataclass
class Environment:
    python: Path

    def pip(self, command: str, *more: str) -> str:
        """`uv pip …` in the project's folder, as the documentation writes it. Returns its log."""
        verb, *arguments = command.split()
        done = uv("pip", verb, "--python", str(self.python), *arguments, *more)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def would_install(self, what: str) -> set[str]:
        """The builds of ONNX Runtime that `uv pip install -e WHAT` would add, as name==version."""
        log = self.pip("install --dry-run -e", what)
        return set(re.findall(r"^ \+ (onnxruntime\S*)", log, re.MULTILINE))

    def run(self, *arguments: str) -> str:
        return subprocess.run(
            [self.python, *arguments], capture_output=True, text=True, timeout=120, check=True
        ).stdout


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    uv("venv", "--quiet", "--python", sys.executable, str(tmp_path / ".venv"))
    return Environment(tmp_path / ".venv/bin/python")


def test_the_cpu_commands_of_the_specification(environment: Environment) -> None:
    environment.pip("install -e .")
    assert "CPUExecutionProvider" in environment.run("-c", VERIFY)
    command = environment.python.with_name("face-service")
    done = subprocess.run([command, "version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="onnxruntime-migraphx has Linux wheels only")
def test_the_amd_commands_of_the_specification(environment: Environment, tmp_path: Path) -> None:
    folder = tmp_path / "rocm-rel-7.1.1"  # AMD's own; the package is in the registry, too
    folder.mkdir()
    environment.pip("uninstall onnxruntime")
    environment.pip("install onnxruntime-migraphx -f", str(folder))
    environment.pip("install -e .")
    expected = "['MIGraphXExecutionProvider', 'CPUExecutionProvider']\n"
    assert environment.run("-c", VERIFY) == expected
    assert environment.run("-c", BUILDS_SEEN) == "['onnxruntime-migraphx']\n", "one, no clash"

    environment.pip("install onnxruntime-openvino==1.24.1")
    log = environment.pip("install --dry-run -e .")
    assert "onnxruntime" not in log, "the last one stays"


def test_a_build_put_over_the_cpus_takes_its_place(environment: Environment) -> None:
    environment.pip("install onnxruntime")
    log = environment.pip("install --dry-run onnxruntime-gpu")
    assert re.search(r"^ - onnxruntime==", log, re.MULTILINE)
    assert "+ onnxruntime==1.20+see.onnxruntime.gpu" in log


@pytest.mark.skipif(sys.platform != "linux", reason="onnxruntime-migraphx has Linux wheels only")
def test_run_sh_changes_the_build_of_an_environment(environment: Environment) -> None:
    folder = environment.python.parent.parent
    for lock, first in (
        ("requirements-rocm.lock", "MIGraphXExecutionProvider"),
        ("requirements.lock", "AzureExecutionProvider"),
        ("requirements-openvino.lock", "OpenVINOExecutionProvider"),
    ):
        steps = f"only_the_build_of {folder} {lock}; install_locked {folder} {lock}"
        done = subprocess.run(
            ["bash", "-euc", f". scripts/bootstrap.sh; {steps}"],
            cwd=ROOT,
            env=os.environ | {"PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=False,
        )
        if UNREACHABLE.search(done.stderr):
            pytest.skip("no package registry can be reached")
        assert done.returncode == 0, done.stderr
        assert environment.run("-c", VERIFY).startswith(f"['{first}'"), lock


@pytest.mark.parametrize(
    ("extra", "builds"),
    [
        ("", {"onnxruntime"}),
        ("[cpu]", {"onnxruntime"}),
        ("[cuda]", {"onnxruntime", "onnxruntime-gpu"}),
        ("[openvino]", {"onnxruntime", "onnxruntime-openvino"}),
        ("[rocm]", {"onnxruntime", "onnxruntime-migraphx"}),
    ],
)
def test_an_extra_installs_its_build(
    environment: Environment, extra: str, builds: set[str]
) -> None:
    versions = dict(found.split("==") for found in environment.would_install(f".{extra}"))
    assert set(versions) == builds
    stands_in = "+see.onnxruntime." in versions["onnxruntime"]
    assert stands_in is (len(builds) == 2)


def test_the_cuda_extra_brings_the_libraries(environment: Environment) -> None:
    log = environment.pip("install --dry-run -e", ".[cuda]")
    wanted = {"cublas", "cuda-nvrtc", "cuda-runtime", "cudnn", "cufft", "curand", "nvjitlink"}
    assert set(re.findall(r"\+ nvidia-(\S+)-cu12==", log)) == wanted
    assert re.search(r"^ \+ onnx==", log, re.MULTILINE), "PRECISION=fp16 writes networks anew"


def test_two_extras_exclude_each_other(environment: Environment, tmp_path: Path) -> None:
    """Elsewhere, so without [tool.uv]: the requirements themselves contradict each other."""
    options = ("--find-links", str(WHEELS), "--python", str(environment.python))
    pairs = PYPROJECT["tool"]["uv"]["conflicts"][0]
    names = [pair["extra"] for pair in pairs]
    assert names == ["cpu", "cuda", "openvino", "rocm"]
    for one, other in ((a, b) for a in names for b in names if a < b):
        both = f"{ROOT}[{one},{other}]"
        done = uv("pip", "install", *options, "-e", both, cwd=tmp_path)
        assert done.returncode != 0, both
        assert "unsatisfiable" in done.stderr


@pytest.mark.parametrize(
    "machine",
    [
        ("x86_64-unknown-linux-musl", "3.12"),
        ("x86_64-manylinux_2_34", "3.15"),
    ],
)
def test_where_the_cpu_has_no_wheel_nothing_stands_in(
    machine: tuple[str, str], tmp_path: Path
) -> None:
    platform, python = machine
    target = ("--python-platform", platform, "--python-version", python)
    folder = ("--target", str(tmp_path / "packages"))
    options = ("--dry-run", *folder, "--only-binary", ":all:", *target)
    done = uv("pip", "install", *options, "onnxruntime>=1.20")
    assert done.returncode != 0
    assert "no wheels with a matching" in done.stderr


def install_for(
    machine: str, python: str, lock: str, folder: Path, *more: str
) -> subprocess.CompletedProcess[str]:
    """Put what `lock` pins for another machine into folder/packages, hashes checked.

    By what the packages say of themselves, as where the images are built: [tool.uv] is not there.
    """
    target = ("--python-platform", f"{machine}-manylinux_2_34", "--python-version", python)
    return uv(
        *("pip", "install", "--target", "packages", *target, *more),
        *("--find-links", str(WHEELS), "--only-binary", ":all:", "--require-hashes"),
        *("-r", str(ROOT / lock)),
        cwd=folder,
    )


LOCKED = [
    *(("requirements.lock", "x86_64", python) for python in ("3.12", "3.13")),
    *(("requirements.lock", "aarch64", python) for python in ("3.11", "3.13")),
    ("requirements-cuda.lock", "x86_64", "3.12"),  # the images' Python
    ("requirements-openvino.lock", "x86_64", "3.12"),
    ("requirements-rocm.lock", "x86_64", "3.12"),
]


@pytest.mark.parametrize(("lock", "machine", "python"), LOCKED)
def test_every_locked_package_has_a_wheel(
    lock: str, machine: str, python: str, tmp_path: Path
) -> None:
    done = install_for(machine, python, lock, tmp_path, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "Would install" in done.stderr


def test_arm64_gets_its_own_code(tmp_path: Path) -> None:
    done = install_for("aarch64", "3.12", "requirements.lock", tmp_path)
    assert done.returncode == 0, done.stderr
    packages = tmp_path / "packages"
    libraries = [path for path in packages.rglob("*") if ".so" in path.suffixes]
    headers = {path.name: path.read_bytes()[:20] for path in libraries}
    assert len(headers) > 40
    assert all(header[:4] == b"\x7fELF" for header in headers.values())
    foreign = [name for name, header in headers.items() if header[18:20] != AARCH64]
    assert not foreign
    for name in ("onnxruntime", "cv2", "numpy", "simplejpeg", "uvloop", "httptools", "orjson"):
        assert any(name in path.parts for path in libraries), name


def test_the_stand_ins_are_what_the_script_writes(tmp_path: Path) -> None:
    written = {
        path.name: path.read_bytes() for path in (write_stand_in(b, tmp_path) for b in BUILDS)
    }
    assert written == {path.name: path.read_bytes() for path in WHEELS.iterdir()}


def test_the_locks_have_the_hashes_of_the_stand_ins() -> None:
    hashes = {
        f"{version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for path in WHEELS.iterdir()
        for version in ["onnxruntime==" + path.name.split("-")[1]]
    }
    for extra in ("cuda", "openvino", "rocm"):
        text = (ROOT / f"requirements-{extra}.lock").read_text()
        assert sum(pin in text for pin in hashes) == 1, f"{extra}: remove the line, then lock.sh"


def test_a_stand_in_holds_nothing() -> None:
    for wheel in WHEELS.iterdir():
        with zipfile.ZipFile(wheel) as archive:
            assert archive.testzip() is None
            files = {Path(name).name for name in archive.namelist()}
        assert files == {"METADATA", "WHEEL", "RECORD"}


def test_every_build_brings_its_own_stand_in() -> None:
    metadata = PYPROJECT["tool"]["uv"]["dependency-metadata"]
    brought = {entry["name"]: entry["requires-dist"] for entry in metadata}
    assert set(brought) == {f"onnxruntime-{build}" for build in BUILDS}
    for build in BUILDS:
        assert f"onnxruntime==1.20+see.onnxruntime.{build}" in brought[f"onnxruntime-{build}"]
