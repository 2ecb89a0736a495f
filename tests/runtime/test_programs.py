"""Compiled programs: one for each card, driver and precision, in a folder that can be written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from face_service.errors import ProviderError
from face_service.runtime.network import Task
from face_service.runtime.providers import PROVIDERS
from face_service.runtime.providers import migraphx as migraphx_module
from face_service.runtime.providers import tensorrt as tensorrt_module

from .conftest import COREML, MIGRAPHX, TENSORRT, Load, Ort


def test_another_precision_card_or_rocm_is_another_program(
    load: Load, ort: Ort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes, version = tmp_path / "nodes", tmp_path / "version"
    monkeypatch.setattr(migraphx_module, "NODES", nodes)
    monkeypatch.setattr(migraphx_module, "ROCM_VERSION", version)

    def folder(**setup: Any) -> str:
        load(MIGRAPHX, **setup)
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


def test_tensorrt_programs_are_of_one_model_of_card(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    card = tmp_path / "gpus" / "0000:01:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t\t NVIDIA L4\nIRQ:   \t\t 89\n")
    monkeypatch.setattr(tensorrt_module, "DRIVER", tmp_path)
    assert PROVIDERS[TENSORRT].architecture() == "NVIDIA L4"


def test_where_programs_cannot_be_kept_it_says_which_folder(
    load: Load, tmp_path: Path, age: Task
) -> None:
    (tmp_path / "migraphx").write_text("in the way")
    with pytest.raises(ProviderError, match=r"keeps what it compiles under .* MODEL_CACHE_DIR"):
        load(MIGRAPHX)
    (tmp_path / "coreml").write_text("in the way")
    load(COREML)  # compiles at every start
