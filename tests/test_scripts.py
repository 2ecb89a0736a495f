"""run.sh for real, in a folder of its own, with a uv that writes down what it is asked."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT, SERVED

HEIF = "requirements-heif.lock"
TOOLS = ["awk", "bash", "cat", "chmod", "dirname", "mkdir", "mv", "readlink", "rm"]

# Stands for the Python of the machine and for that of .venv: answers `-c`, and reports a start.
PYTHON = f"""#!/usr/bin/env bash
if [[ $1 == -c ]]; then exec '{sys.executable}' "$@"; fi
echo "python $*"
echo "in $PWD"
echo "libraries ${{LD_LIBRARY_PATH-none}}"
echo "providers ${{ONNX_PROVIDERS-none}}"
"""

OLD_PYTHON = f"""#!/usr/bin/env bash
exec '{sys.executable}' -c "import sys; sys.version_info = (3, 10, 12); $2"
"""

# Writes down its arguments and the requirements it is given; makes what `uv venv` would make.
UV = f"""#!/usr/bin/env bash
if [[ $1 == "${{FAILING-}}" ]]; then exit 1; fi
echo "$*" >>"$UV_LOG"
if [[ $1 == venv ]]; then
  mkdir -p "${{@: -1}}/bin" "${{@: -1}}/lib/python{sys.version_info[0]}.{sys.version_info[1]}"
  cat "$(dirname "$0")/python3" >"${{@: -1}}/bin/python" && chmod +x "${{@: -1}}/bin/python"
fi
while (($#)); do
  if [[ $1 == -r && $2 == *heif* ]]; then
    if [[ -n ${{NO_WHEELS-}} ]]; then exit 1; fi
    cat "$2" >"$UV_LOG.heif"
  elif [[ $1 == -r ]]; then
    cat "$2" >"$UV_LOG.requirements"
  fi
  shift
done
"""


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@dataclass
class Machine:
    """A checkout, and a PATH with nothing on it but what run.sh may count on."""

    checkout: Path
    bin: Path
    log: Path

    def run(
        self, *arguments: str, script: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": str(self.bin),
            "HOME": str(self.bin.parent),
            "UV_LOG": str(self.log),
            "ROCM_PATH": str(self.bin.parent / "no-rocm"),
        } | environment
        return subprocess.run(
            [script or self.checkout / "run.sh", *arguments],
            cwd=self.bin.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def put_in(self, *packages: str) -> None:
        """What pip would leave in .venv for these packages, such as onnxruntime_gpu-1.26.0."""
        (library,) = (self.checkout / ".venv/lib").iterdir()
        for package in packages:
            (library / f"site-packages/{package}.dist-info").mkdir(parents=True)

    @property
    def asked_of_uv(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    @property
    def requirements(self) -> str:
        return Path(f"{self.log}.requirements").read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    checkout = tmp_path / "a folder" / "face-service"
    (checkout / "scripts").mkdir(parents=True)
    locks = [*SERVED, HEIF]
    for name in ["run.sh", "scripts/bootstrap.sh", "pyproject.toml", *locks]:
        shutil.copy(ROOT / name, checkout / name)
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (binaries / tool).symlink_to(found)
    write_program(binaries / "python3", PYTHON)
    write_program(binaries / "uv", UV)
    return Machine(checkout, binaries, tmp_path / "uv.log")


def test_first_start_installs_what_the_lock_pins_and_serves(machine: Machine) -> None:
    done = machine.run("--flag")
    assert done.returncode == 0, done.stderr
    assert "python -m face_service.main --flag" in done.stdout
    assert f"in {machine.checkout}\n" in done.stdout
    venv, dependencies, project, heif = machine.asked_of_uv
    assert venv.startswith("venv ")
    assert "--require-hashes" in dependencies
    assert project.endswith("--no-deps --editable .")
    assert machine.requirements == (machine.checkout / "requirements.lock").read_text()
    assert "--only-binary :all: --no-deps --require-hashes" in heif
    assert Path(f"{machine.log}.heif").read_text() == (machine.checkout / HEIF).read_text()


def test_where_there_are_no_wheels_of_what_reads_heic_it_says_so_and_serves(
    machine: Machine,
) -> None:
    done = machine.run(NO_WHEELS="1")
    assert done.returncode == 0
    assert "HEIC pictures will be refused" in done.stderr
    assert "face_service.main" in done.stdout
    done = machine.run()  # there are some now
    assert done.stderr == ""
    assert Path(f"{machine.log}.heif").exists()


def test_second_start_installs_nothing(machine: Machine) -> None:
    machine.run()
    asked = machine.asked_of_uv
    assert "python -m face_service.main" in machine.run().stdout
    assert machine.asked_of_uv == asked


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_pin_is_installed_into_the_same_environment(machine: Machine, name: str) -> None:
    machine.run()
    before = len(machine.asked_of_uv)
    with (machine.checkout / name).open("a") as file:
        file.write("\n# changed\n")
    machine.run()
    assert [line.split()[0] for line in machine.asked_of_uv[before:]] == ["pip", "pip"]


def test_a_failed_installation_is_tried_again(machine: Machine) -> None:
    failed = machine.run(FAILING="pip")
    assert failed.returncode != 0
    assert "face_service.main" not in failed.stdout
    assert "face_service.main" in machine.run().stdout
    assert "--require-hashes" in machine.asked_of_uv[-3]


def test_run_sh_starts_through_a_symlink_from_anywhere(machine: Machine, tmp_path: Path) -> None:
    link = tmp_path / "serve"
    link.symlink_to(machine.checkout / "run.sh")
    assert f"in {machine.checkout}\n" in machine.run(script=link).stdout


def test_rocm_libraries_come_first_and_what_was_there_stays(
    machine: Machine, tmp_path: Path
) -> None:
    rocm = tmp_path / "rocm"
    rocm.mkdir()
    assert f"libraries {rocm}/lib\n" in machine.run(ROCM_PATH=str(rocm)).stdout
    both = machine.run(ROCM_PATH=str(rocm), LD_LIBRARY_PATH="/mine").stdout
    assert f"libraries {rocm}/lib:/mine\n" in both


def test_without_rocm_the_library_path_is_left_alone(machine: Machine) -> None:
    assert "libraries none\n" in machine.run().stdout


@pytest.mark.parametrize("build", ["gpu", "migraphx", "rocm"])
def test_another_build_of_onnxruntime_is_not_overwritten(machine: Machine, build: str) -> None:
    machine.run()
    machine.put_in(f"onnxruntime_{build}-1.23.1")
    with (machine.checkout / "requirements.lock").open("a") as file:
        file.write("# changed\n")
    machine.run()
    lock = (machine.checkout / "requirements.lock").read_text()
    onnxruntime = re.search(r"^onnxruntime==.*\n(?:[ ].*\n)*", lock, re.MULTILINE)
    assert onnxruntime
    assert machine.requirements == lock.replace(onnxruntime[0], "")


def pinned_builds(lock: Path) -> list[str]:
    """The ONNX Runtime of a lock, as folders in site-packages: onnxruntime_gpu-1.26.0."""
    found = re.findall(r"^(onnxruntime[\w-]*)==(\S+)", lock.read_text(), re.MULTILINE)
    return [f"{name.replace('-', '_')}-{version}" for name, version in found]


@pytest.mark.parametrize("extra", ["cpu", "cuda", "openvino", "rocm"])
def test_extra_chooses_the_build(machine: Machine, extra: str) -> None:
    done = machine.run(EXTRA=extra)
    assert "face_service.main" in done.stdout, done.stderr
    lock = machine.checkout / (
        "requirements.lock" if extra == "cpu" else f"requirements-{extra}.lock"
    )
    assert machine.requirements == lock.read_text()
    machine.put_in(*pinned_builds(lock))
    asked = machine.asked_of_uv
    assert "face_service.main" in machine.run(EXTRA=extra).stdout
    assert machine.asked_of_uv == asked, "a second start installs nothing"


def test_another_extra_takes_out_every_build_first(machine: Machine) -> None:
    machine.run()
    machine.put_in(*pinned_builds(machine.checkout / "requirements.lock"))
    before = len(machine.asked_of_uv)
    assert "Replacing onnxruntime-" in machine.run(EXTRA="cuda").stderr
    out, dependencies, _project = machine.asked_of_uv[before:]
    assert out.startswith("pip uninstall ")
    assert out.endswith(" onnxruntime")
    assert "--require-hashes" in dependencies
    assert machine.requirements == (machine.checkout / "requirements-cuda.lock").read_text()


def test_back_to_the_cpu_only_when_it_is_asked_for(machine: Machine) -> None:
    machine.run()
    machine.run(EXTRA="cuda")
    machine.put_in(*pinned_builds(machine.checkout / "requirements-cuda.lock"))
    machine.run()
    assert not any("uninstall" in line for line in machine.asked_of_uv), "left alone"
    machine.run(EXTRA="cpu")
    (out,) = (line for line in machine.asked_of_uv if "uninstall" in line)
    assert out.split()[-2:] == ["onnxruntime", "onnxruntime-gpu"]


def test_an_extra_that_is_none_is_refused_in_one_sentence(machine: Machine) -> None:
    done = machine.run(EXTRA="nvidia")
    assert done.returncode == 1
    assert done.stderr == "EXTRA=nvidia is not allowed: cpu, cuda, openvino or rocm\n"
    assert machine.asked_of_uv == []


@pytest.mark.parametrize(
    ("extra", "provider"),
    [
        ("cuda", "CUDAExecutionProvider"),
        ("openvino", "OpenVINOExecutionProvider"),
        ("rocm", "MIGraphXExecutionProvider"),
        ("cpu", "none"),
        ("", "none"),
    ],
)
def test_extra_computes_on_what_it_installs(machine: Machine, extra: str, provider: str) -> None:
    assert f"providers {provider}\n" in machine.run(EXTRA=extra).stdout
    own = machine.run(EXTRA=extra, ONNX_PROVIDERS="CPUExecutionProvider").stdout
    assert "providers CPUExecutionProvider\n" in own
    (machine.checkout / ".env").write_text("PORT=8200\nONNX_PROVIDERS=CPUExecutionProvider\n")
    assert "providers none\n" in machine.run(EXTRA=extra).stdout, ".env has the word"


def test_an_old_python_is_refused_in_one_sentence(machine: Machine) -> None:
    write_program(machine.bin / "python3", OLD_PYTHON)
    done = machine.run()
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert machine.asked_of_uv == []


def test_a_newer_python_beside_an_old_one_is_found(machine: Machine) -> None:
    (machine.bin / "python3").rename(machine.bin / "python3.12")
    write_program(machine.bin / "python3", OLD_PYTHON)
    machine.run()
    assert "python3.12" in machine.asked_of_uv[0]


def test_without_a_working_venv_pip_fetches_uv(machine: Machine) -> None:
    (machine.bin / "uv").rename(machine.bin / "uv-of-the-registry")
    fetch = """
case "$*" in
  "-m venv "*) mkdir .tools; exit 1 ;;  # what Debian's python3 without ensurepip does
  "-m pip install --target .tools uv")
    mkdir -p .tools/bin
    cat "$(dirname "$0")/uv-of-the-registry" >.tools/bin/uv && chmod +x .tools/bin/uv
    cat "$0" >.tools/bin/python3
    exit ;;
esac
"""
    first, _, rest = PYTHON.partition("\n")
    write_program(machine.bin / "python3", f"{first}\n{fetch}{rest}")
    done = machine.run()
    assert "python -m face_service.main" in done.stdout, done.stderr
    assert (machine.checkout / ".tools/bin/uv").exists()


def test_the_scripts_can_be_executed() -> None:
    scripts = "arm64", "lock", "openvino", "oracle"
    for name in ["run.sh", "test.sh", ".ci/run", *(f"scripts/{name}.sh" for name in scripts)]:
        assert os.access(ROOT / name, os.X_OK), name
