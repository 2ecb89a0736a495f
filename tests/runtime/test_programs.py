"""Compiled programs: one for each card, driver and precision, in a folder that can be written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from face_service.errors import ProviderError
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import PROVIDERS
from face_service.runtime.providers import migraphx as migraphx_module
from face_service.runtime.providers import tensorrt as tensorrt_module
from tests.samples import commands, samples

from .conftest import COREML, MIGRAPHX, TENSORRT, Load, Ort


def test_another_precision_card_or_rocm_is_another_program(
    load: Load, ort: Ort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes, version = tmp_path / "nodes", tmp_path / "version"
    monkeypatch.setattr(migraphx_module, "NODES", nodes)
    monkeypatch.setattr(migraphx_module, "ROCM_VERSION", version)

    def folder(**config: Any) -> str:
        load(MIGRAPHX, **config)
        return ort.options(MIGRAPHX)[-1]["migraphx_model_cache_dir"]

    def card(architecture: int) -> None:
        (nodes / "1").mkdir(parents=True, exist_ok=True)
        text = f"cpu_cores_count 0\ngfx_target_version {architecture}\n"
        (nodes / "1" / "properties").write_text(text)

    known = {folder(), folder(precision="fp16"), folder(device=1)}
    known.add(folder(overrides={MIGRAPHX: {"migraphx_exhaustive_tune": "True"}}))
    card(0)  # a CPU
    assert folder() in known
    card(110000)
    known.add(folder())
    card(120001)
    known.add(folder())
    version.write_text("7.1.1-38\n")
    known.add(folder())
    assert len(known) == 7
    assert folder() in known
    assert "7.1.1-38-120001" in folder()


NVRM = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Thu Feb 22 00:28:02 UTC 2024\n"
"""The first line of /proc/driver/nvidia/version."""


def test_another_tensorrt_driver_or_card_is_another_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    driver, libraries = tmp_path / "driver", tmp_path / "lib"
    monkeypatch.setattr(tensorrt_module, "DRIVER", driver)
    monkeypatch.setattr(tensorrt_module, "LIBRARIES", (str(libraries),))
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    architecture = PROVIDERS[TENSORRT].architecture
    assert architecture() == "unknown-unknown-unknown"
    card = driver / "gpus" / "0000:01:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t\t NVIDIA L4\nIRQ:   \t\t 89\n")
    (driver / "version").write_text(f"{NVRM.format('550.54.15')}GCC version:  gcc 12.3.0\n")
    assert architecture() == "unknown-550.54.15-NVIDIA L4"
    (driver / "version").write_text(NVRM.format("580.95.05"))
    libraries.mkdir()
    (libraries / "libnvinfer.so.10").touch()
    (libraries / "libnvinfer.so.10.9.0").touch()
    assert architecture() == "10.9.0-580.95.05-NVIDIA L4"
    monkeypatch.setattr(
        tensorrt_module.metadata, "version", {"tensorrt-cu12": "10.13.3.9"}.__getitem__
    )
    monkeypatch.setattr(tensorrt_module, "PACKAGES", ("tensorrt-cu12",))
    assert architecture() == "10.13.3.9-580.95.05-NVIDIA L4"


def test_where_programs_cannot_be_kept_it_says_which_folder(
    load: Load, tmp_path: Path, age: NetworkSpec
) -> None:
    (tmp_path / "migraphx").write_text("in the way")
    with pytest.raises(ProviderError, match=r"keeps what it compiles under .* MODEL_CACHE_DIR"):
        load(MIGRAPHX)
    (tmp_path / "coreml").write_text("in the way")
    load(COREML)  # compiles at every start


def test_what_other_versions_have_compiled_goes_by_the_commands_of_the_page(
    load: Load, ort: Ort, tmp_path: Path
) -> None:
    """docs/accelerators.md: all that is old, and nothing that is in use."""
    (sample,) = (
        sample
        for sample in samples("bash")
        if sample.page == "docs/accelerators.md" and "find models/.compiled" in sample.code
    )
    *removes_old, removes_all = commands(sample.code)[:-1]
    (tmp_path / ".venv").symlink_to(sys.prefix)
    compiled = tmp_path / "models" / ".compiled"
    load(MIGRAPHX, cache=compiled)
    kept = [Path(given["migraphx_model_cache_dir"]) for given in ort.options(MIGRAPHX)]
    old = [path.with_name(path.name.replace(onnxruntime.__version__, "1.0.0")) for path in kept]
    kept.append(compiled / "driver" / "gfx1100" / "3.4.0" / "kernels")  # MIOpen's own
    (compiled / "fp16").mkdir()
    kept.append(compiled / "fp16" / f"scrfd-0123-{onnxruntime.__version__}.onnx")
    old.append(compiled / "fp16" / "scrfd-0123-1.0.0.onnx")
    for path in (*kept, *old):
        path.touch() if path.suffix == ".onnx" else path.mkdir(parents=True, exist_ok=True)

    def run(command: str) -> None:
        shell = ["bash", "-o", "pipefail", "-ec", command]
        subprocess.run(shell, cwd=tmp_path, check=True, capture_output=True)

    run("\n".join(removes_old))
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in old)
    run(removes_all)
    assert not compiled.exists()
