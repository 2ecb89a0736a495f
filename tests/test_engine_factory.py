"""Settings → pack → networks → engine: what is held while one engine takes over from another."""

from __future__ import annotations

import inspect
import tempfile
import weakref
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from face_service.engine_factory import load_engine, load_with_fallback
from face_service.engine_factory.builder import Canvases
from face_service.packs.pack import Pack
from face_service.runtime import compiling
from face_service.runtime.providers import CPU, PROVIDERS, RuntimeConfig
from face_service.runtime.selection import choose_providers
from face_service.vision.canvas import Size
from tests import accelerated

CUDA, MIGRAPHX = "CUDAExecutionProvider", "MIGraphXExecutionProvider"
SQUARE = Canvases((Size(640, 640),), None)


def test_an_engine_that_does_not_compute_is_let_go_before_the_next_is_built(
    starter: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice the memory would be taken where there is too little of it."""
    opened: weakref.WeakSet[Any] = weakref.WeakSet()
    held: list[int] = []

    class Session(accelerated.Session):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            if self.pretends:
                opened.add(self)
            else:
                held.append(len(opened))

    (tmp_path / "fault").write_text("first-run")
    monkeypatch.setattr(accelerated, "FAULT", tmp_path / "fault")
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    selection = choose_providers((CUDA, CPU), "fp32", (CUDA, CPU), {"onnxruntime": "1.32.0"})
    engine = load_with_fallback(starter, SQUARE, selection, RuntimeConfig(2, cache=tmp_path))
    assert engine.info.providers == (CPU,)
    assert held == [0, 0, 0, 0]


@pytest.mark.parametrize("full", [False, True], ids=["no child starts", "no temporary file"])
def test_where_a_provider_cannot_use_its_files_the_next_is_tried(
    full: bool, starter: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MIGraphX compiles in a child process, of networks that are written anew; the CPU does not."""
    monkeypatch.setattr(compiling, "COMMAND", (str(tmp_path / "none"),))
    if full:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    selection = choose_providers((MIGRAPHX, CPU), "fp32", (MIGRAPHX, CPU), {"onnxruntime": "1"})
    engine = load_with_fallback(starter, SQUARE, selection, RuntimeConfig(2, cache=tmp_path))
    assert engine.info.providers == (CPU,)
    assert "MIGraphXExecutionProvider cannot load starter: " in str(engine.info.fallback)
    assert f"No such file or directory: '{tmp_path / 'none'}" in str(engine.info.fallback)


def test_whoever_loads_an_engine_says_what_it_shares_with_the_others() -> None:
    """What runs one at a time has its lock there: a default would be another one each time."""
    assert inspect.signature(load_engine).parameters["config"].default is inspect.Parameter.empty


def test_directml_runs_one_network_at_a_time() -> None:
    assert PROVIDERS["DmlExecutionProvider"].one_at_a_time
