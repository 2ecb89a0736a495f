"""The child that compiles: what it is told, and that it ends with its parent. Crashes, hangs and
failures of it: tests/test_accelerators.py."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from face_service.packs.entries import Role
from face_service.packs.pack import Pack
from face_service.runtime import compiling
from face_service.runtime.compiling import COMPLETE, as_json, compile_missing
from face_service.runtime.graph import read_input
from face_service.runtime.programs import SessionSpec, specs_for
from face_service.runtime.progress import Progress
from face_service.runtime.providers import CPU, PROVIDERS, RuntimeConfig
from tests.wire import settled

from .conftest import CUDA, MIGRAPHX


@pytest.fixture
def config(tmp_path: Path) -> RuntimeConfig:
    return RuntimeConfig(
        cache=tmp_path, threads=3, device=1, overrides={CUDA: {"use_tf32": "True"}}
    )


@pytest.fixture
def orders(starter: Pack, config: RuntimeConfig) -> list[SessionSpec]:
    """A network in two shapes."""
    model = starter.models[Role.AGE]
    shapes = [(1, 3, 64, 64), (4, 3, 64, 64)]
    graph_input = read_input(model.path)
    return specs_for(model.path, model.sha256, graph_input, shapes, PROVIDERS[MIGRAPHX], config)


def test_what_is_there_is_not_compiled_again(
    orders: list[SessionSpec], config: RuntimeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[tuple[str, Any, str]] = []

    def compile_one(path: Path, order: SessionSpec, *_: Any) -> None:
        compiled.append((path.name, read_input(path).shape, str(config.progress)))

    monkeypatch.setattr(compiling, "compile_one", compile_one)
    compile_missing(orders, (MIGRAPHX,), config)
    compile_missing(orders, (MIGRAPHX,), config)
    assert compiled == [
        ("age-v1-1x3x64x64.onnx", (1, 3, 64, 64), "compiling age-v1.onnx 1×3×64×64, 1 of 2"),
        ("age-v1-4x3x64x64.onnx", (4, 3, 64, 64), "compiling age-v1.onnx 4×3×64×64, 2 of 2"),
    ]
    assert str(config.progress) == ""


def test_two_processes_compile_a_program_once(
    orders: list[SessionSpec], config: RuntimeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(compiling, "compile_one", lambda path, *_: compiled.append(path.name))
    folder = orders[0].program.folder
    assert folder is not None
    with ThreadPoolExecutor(1) as other:
        with FileLock(folder / "lock"):
            waiting = other.submit(compile_missing, orders[:1], (MIGRAPHX,), config)
            settled(lambda: str(config.progress) != "")
            assert not waiting.done()
            (folder / COMPLETE).touch()  # as the process that holds the lock leaves it
        waiting.result(timeout=10)
    assert compiled == []


def test_a_provider_that_keeps_nothing_is_named(
    orders: list[SessionSpec],
    config: RuntimeConfig,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def keep(_: Path, order: SessionSpec, *__: Any) -> None:
        assert order.program.folder is not None
        (order.program.folder / "21000-52d4355587658066.mxr").touch()

    monkeypatch.setattr(compiling, "compile_one", keep)
    compile_missing(orders[:1], (MIGRAPHX,), config)
    assert not caplog.records
    monkeypatch.setattr(compiling, "compile_one", lambda *_: None)
    compile_missing(orders[1:], (MIGRAPHX,), config)
    assert "MIGraphXExecutionProvider has left nothing in" in caplog.text


def test_a_program_that_failed_is_tried_again(
    orders: list[SessionSpec], config: RuntimeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(compiling, "compile_one", fail)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            compile_missing(orders, (MIGRAPHX,), config)
        assert str(config.progress) == "", "what is tried next is not this"


def test_the_child_compiles_what_it_is_told(
    orders: list[SessionSpec], config: RuntimeConfig
) -> None:
    """On the CPU provider, which has nothing to compile: it loads and runs every shape."""
    order = orders[1]
    with order.file() as path:
        content = as_json(path, order, (CPU,), config)
        assert content["config"]["overrides"] == {CUDA: {"use_tf32": "True"}}
        assert (content["config"]["threads"], content["config"]["device"]) == (3, 1)
        assert child(content) == (0, "")
        content["shapes"] = [(3, 3, 64, 64)]
        status, said = child(content)
    assert status == 1
    assert "Got invalid dimensions" in said.strip().splitlines()[-1]


def child(content: dict[str, Any]) -> tuple[int, str]:
    with subprocess.Popen(
        compiling.COMMAND, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(json.dumps(content) + "\n")
        process.stdin.flush()
        said = process.stderr.read()
        return process.wait(60), said


HANGS = """
import sys
from face_service.runtime import compiling
compiling.compile_here = lambda _: __import__("time").sleep(3600)
sys.exit(compiling.main())
"""


def test_the_child_ends_with_its_parent() -> None:
    hanging = subprocess.Popen(
        [compiling.COMMAND[0], "-c", HANGS], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert hanging.stdin is not None
    hanging.stdin.write(b"{}\n")
    hanging.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        hanging.wait(1)
    hanging.stdin.close()  # as the system does when a process ends
    assert hanging.wait(20) == 1


def test_progress_says_what_is_compiled() -> None:
    progress = Progress()
    assert str(progress) == ""
    progress.begin(8)
    for name in ("a.onnx 1×3×112×112", "a.onnx 2×3×112×112", "b.onnx 1×3×64×64"):
        progress.compiling(name)
    assert str(progress) == "compiling b.onnx 1×3×64×64, 3 of 8"
    progress.end()
    assert str(progress) == ""
