"""Which build of ONNX Runtime is installed, and the command that repairs what is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from face_service.runtime.builds import installed_builds
from face_service.tools.doctor.software import (
    Build,
    build,
    clashing,
    libraries,
    packages,
    repair,
)

Install = Callable[[str, str], None]
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
REAL = metadata.version("onnxruntime")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Make a package look installed, before those that are."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, version: str) -> None:
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )

    return make


def test_one_build() -> None:
    found = build()
    assert found.installed == {"onnxruntime": REAL}
    assert found.folder == found.home
    assert str(found.folder).startswith(sys.prefix)
    assert not found.hidden
    assert clashing(found, [CUDA]) is None


def test_two_builds_over_each_other(install: Install) -> None:
    install("onnxruntime-gpu", "1.31.1")
    found = build()
    assert found.installed == {"onnxruntime": REAL, "onnxruntime-gpu": "1.31.1"}
    said = str(clashing(found, [CUDA, CPU]))
    assert f"onnxruntime {REAL} and onnxruntime-gpu 1.31.1 are installed together" in said
    assert said.endswith(
        "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"
    )
    assert str(clashing(found, [CPU])).endswith("&& pip install onnxruntime")


def test_a_stand_in_is_no_build(install: Install) -> None:
    install("onnxruntime", "1.20+see.onnxruntime.gpu")
    install("onnxruntime-gpu", "1.26.0")
    assert installed_builds() == {"onnxruntime-gpu": "1.26.0"}
    found = Build(installed_builds())
    assert clashing(found, [CUDA]) is None
    assert "onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu" in repair(
        found, [CPU], "no module"
    ), "pip would take the stand-in for the real one"


def test_a_build_that_cannot_be_loaded_is_installed_again() -> None:
    found = Build({"onnxruntime": REAL}, Path("/a/onnxruntime"), Path("/a/onnxruntime"))
    assert repair(found, [CPU], "ImportError: bad ELF") == (
        "pip uninstall -y onnxruntime && pip install onnxruntime "
        "(onnxruntime cannot be loaded: ImportError: bad ELF)"
    )
    assert "&& pip install onnxruntime-migraphx (" in repair(
        found, ["MIGraphXExecutionProvider", CPU], "x"
    )


def test_a_module_in_front_of_the_installed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = build()
    assert found.hidden
    assert found.folder == tmp_path / "onnxruntime"
    said = repair(found, [CPU], "AttributeError: x")
    assert said.startswith(f"remove {tmp_path}/onnxruntime from where Python looks (PYTHONPATH)")
    assert f"hides onnxruntime {REAL}" in said


def test_libraries_of_rocm_and_of_the_search_path(tmp_path: Path) -> None:
    (tmp_path / "opt/rocm/.info").mkdir(parents=True)
    (tmp_path / "opt/rocm/.info/version").write_text("7.1.1-38\n")
    for name in ("libcudnn.so.9", "libcudnn.so.8", "libMIOpen.so.1.0", "libcudnn_ops.so.9"):
        (tmp_path / name).touch()
    found = libraries(tmp_path, {"LD_LIBRARY_PATH": f"/nowhere:{tmp_path}"})
    assert found["ROCm"] == "7.1.1-38"
    assert found["libcudnn"] == "8 and 9"
    assert found["libMIOpen"] == "1.0"
    elsewhere = libraries(tmp_path, {"ROCM_PATH": "/nowhere"})
    assert not {"ROCm", "libMIOpen"} & set(elsewhere)


def test_cuda_may_come_from_pip(install: Install, tmp_path: Path) -> None:
    install("nvidia-cudnn-cu12", "9.10.2.21")
    install("nvidia-nvtx-cu12", "12.8.90")
    found = libraries(tmp_path, {})
    assert found["nvidia-cudnn-cu12"] == "9.10.2.21"
    assert "nvidia-nvtx-cu12" not in found


def test_versions_of_what_matters() -> None:
    found = packages()
    assert found["numpy"] == metadata.version("numpy")
    assert "opencv-python" not in found, "it is the same module as the headless one"
