"""Networks saved as the processor computes them: the same answers from weights that are mapped, and
nothing that can go wrong with a file keeps a network from loading."""

from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from face_service.packs.entries import Role
from face_service.packs.pack import Pack, sha256_of
from face_service.runtime import child_folder, mapped
from face_service.runtime.child_folder import SIZES, is_complete
from face_service.runtime.mapped import GRAPH, WEIGHTS, folder_of
from face_service.runtime.network import Network, load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import CPU, RuntimeConfig

SIDES = {Role.DETECTION: (640, 640), Role.RECOGNITION: (112, 112)}


@pytest.fixture
def config(tmp_path: Path) -> RuntimeConfig:
    return RuntimeConfig(cache=tmp_path / "compiled", threads=2)


def load(path: Path, config: RuntimeConfig, *sizes: tuple[int, int]) -> Network:
    (network,) = load_networks([NetworkSpec(path, sha256_of(path), sizes)], (CPU,), config)
    return network


def copied(path: Path, config: RuntimeConfig, monkeypatch: pytest.MonkeyPatch) -> Network:
    """The network as ONNX Runtime loads it by itself."""
    with monkeypatch.context() as without:
        without.setattr("face_service.runtime.plans.mapped_network", lambda *_: None)
        return load(path, config)


@pytest.mark.parametrize("role", SIDES)
def test_the_answers_are_the_same_bit_by_bit(
    role: Role, starter: Pack, config: RuntimeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = starter.models[role].path
    blob = np.random.default_rng(0).standard_normal((1, 3, *SIDES[role])).astype(np.float32)
    expected = copied(path, config, monkeypatch).run(blob)
    network = load(path, config, SIDES[role])
    assert is_complete(folder_of(sha256_of(path), config))
    for one, other in zip(network.run(blob), expected, strict=True):
        assert np.array_equal(one, other)


LOADED = """
import sys
from pathlib import Path
from face_service.packs.pack import sha256_of
from face_service.runtime.network import load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import CPU, RuntimeConfig

def own_bytes():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))

path = Path(sys.argv[1])
spec = NetworkSpec(path, sha256_of(path))
config = RuntimeConfig(cache=Path(sys.argv[2]), threads=1)
networks = [load_networks([spec], (CPU,), config)]
before = own_bytes()
networks += [load_networks([spec], (CPU,), config) for _ in range(4)]
print((own_bytes() - before) / 4)
"""


def written(
    path: Path,
    nodes: list[onnx.NodeProto],
    shape: list[int],
    weights: np.ndarray,
    answer: list[int],
) -> Path:
    """A network of `nodes` from x, float32 of `shape`, and weights w to y."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, answer)],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/smaps_rollup, Linux's own")
def test_no_session_has_weights_of_its_own(tmp_path: Path, config: RuntimeConfig) -> None:
    """The last layer of a ResNet-50: 51 MB that its kernel arranges anew for each session."""
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["y"]),
    ]
    weights = np.random.default_rng(0).standard_normal((25088, 512), np.float32)
    path = written(tmp_path / "gemm.onnx", nodes, [1, 512, 7, 7], weights, [1, 512])
    load(path, config)
    command = [sys.executable, "-c", LOADED, str(path), str(config.cache)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert float(said) < weights.nbytes / 4, "bytes that each further session holds alone"


def test_what_is_there_is_not_made_again(
    starter: Pack, config: RuntimeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = starter.models[Role.RECOGNITION].path
    load(path, config)
    monkeypatch.setattr(mapped, "COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
    load(path, config)


@pytest.mark.parametrize("name", [GRAPH, WEIGHTS, SIZES])
def test_a_file_that_was_cut_short_is_made_again(
    name: str, starter: Pack, config: RuntimeConfig
) -> None:
    path = starter.models[Role.RECOGNITION].path
    load(path, config)
    folder = folder_of(sha256_of(path), config)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    load(path, config)
    assert is_complete(folder)
    assert (folder / name).stat().st_size > len(whole) // 2


def test_a_graph_that_does_not_open_is_replaced(
    starter: Pack, config: RuntimeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    path = starter.models[Role.RECOGNITION].path
    load(path, config)
    graph = folder_of(sha256_of(path), config) / GRAPH
    graph.write_bytes(b"\xff" * graph.stat().st_size)
    blob = np.zeros((1, 3, 112, 112), np.float32)
    assert np.isfinite(load(path, config).run(blob)[0]).all()
    assert "is saved again at the next start" in caplog.text
    caplog.clear()
    load(path, config)
    load(path, config)
    assert is_complete(graph.parent)
    assert not caplog.text


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("raise SystemExit('no such kernel')", "no such kernel"),
        ("import os; os.kill(os.getpid(), 9)", "the process that makes it has ended"),
    ],
    ids=["fails", "is killed"],
)
def test_a_network_that_cannot_be_saved_is_loaded_all_the_same(
    command: str,
    reason: str,
    starter: Pack,
    config: RuntimeConfig,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(mapped, "COMMAND", (sys.executable, "-c", command))
    path = starter.models[Role.RECOGNITION].path
    assert load(path, config).run(np.zeros((1, 3, 112, 112), np.float32))
    assert f"The weights of {path.name} are copied into memory, not mapped: {reason}" in caplog.text
    folder = folder_of(sha256_of(path), config)
    assert [one.name for one in folder.parent.iterdir()] == ["lock"], "nothing half made is left"


def test_where_nothing_can_be_written_it_is_loaded_all_the_same(
    starter: Pack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    path = starter.models[Role.RECOGNITION].path
    network = load(path, RuntimeConfig(cache=tmp_path / "file" / "compiled"))
    assert network.run(np.zeros((1, 3, 112, 112), np.float32))
    assert "not mapped" in caplog.text


def test_another_processor_or_build_has_a_folder_of_its_own(
    config: RuntimeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {folder_of("0" * 64, config)}
    with monkeypatch.context() as other:
        other.setattr(mapped, "fingerprint", lambda: "x86_64 avx2 fma")
        folders.add(folder_of("0" * 64, config))
    monkeypatch.setattr(mapped.onnxruntime, "get_build_info", lambda: "another")
    folders.add(folder_of("0" * 64, config))
    assert len(folders) == 3


def test_of_many_that_start_at_once_one_makes_it(
    starter: Pack, config: RuntimeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    path = starter.models[Role.RECOGNITION].path
    made: list[Path] = []
    real = child_folder.fill

    def counted(folder: Path, *arguments: Any) -> None:
        made.append(folder)
        real(folder, *arguments)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor() as pool:
        patch.setattr(child_folder, "fill", counted)
        list(pool.map(lambda _: load(path, config), range(4)))
    assert len(made) == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_weights_too_near_to_0_are_0(tmp_path: Path, config: RuntimeConfig) -> None:
    """A denormal weight times 1e30 is no denormal any more: it is seen in the answer."""
    weights = np.full((2, 3, 1, 1), 1e-41, np.float32)
    weights[1] = 0.5
    conv = [helper.make_node("Conv", ["x", "w"], ["y"])]
    path = written(tmp_path / "denormal.onnx", conv, [1, 3, 16, 16], weights, [1, 2, 16, 16])
    (answer,) = load(path, config).run(np.full((1, 3, 16, 16), 1e30, np.float32))
    assert (answer[0, 0] == 0).all()
    assert np.allclose(answer[0, 1], 1.5e30)
