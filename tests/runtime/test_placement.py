"""Where nodes run, as far as it can be known, and that knowing it costs nothing afterwards."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from face_service.packs.entries import Role
from face_service.packs.pack import Pack
from face_service.runtime.network import load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.runtime.session import enable_placement_probe, session_options

from .conftest import ROCM

GROWTH = """
import sys
from pathlib import Path
import numpy as np
from face_service.packs.pack import sha256_of
from face_service.runtime.memory import trim_heap, set_up_malloc
from face_service.runtime.network import load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import CPU, RuntimeConfig

def resident_after(runs):
    for _ in range(runs):
        network.run(blob)
    trim_heap()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

set_up_malloc()
path = Path(sys.argv[1])
(network,) = load_networks([NetworkSpec(path, sha256_of(path))], (CPU,), RuntimeConfig(threads=2))
blob = np.zeros((1, 3, 64, 64), np.float32)
states = [resident_after(300) for _ in range(4)]
print(min(after - before for before, after in zip(states[1:], states[2:])) / 300)
"""


def load_and_run(starter: Pack) -> dict[str, int]:
    model = starter.models[Role.GENDER]
    (network,) = load_networks(
        [NetworkSpec(model.path, model.sha256)], (CPU,), RuntimeConfig(threads=1)
    )
    network.run(np.zeros((1, 3, 32, 32), np.float32))
    return dict(network.placement)


def watched(starter: Pack, providers: tuple[str, ...]) -> tuple[Any, dict[str, int]]:
    """The options of a session that was opened to be asked, on the CPU; and its answer."""
    options = session_options(2)
    probe = enable_placement_probe(options, providers)
    path = starter.models[Role.GENDER].path
    session = onnxruntime.InferenceSession(path, options, providers=[CPU])
    session.run(None, {session.get_inputs()[0].name: np.zeros((1, 3, 32, 32), np.float32)})
    return options, dict(probe(session))


@pytest.fixture
def old_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime as it was before 1.24."""
    monkeypatch.delattr(onnxruntime, "OrtEpAssignedSubgraph")


def test_every_node_is_counted(starter: Pack) -> None:
    placement = load_and_run(starter)
    assert set(placement) == {CPU}
    assert placement[CPU] > 3


def test_nothing_is_profiled_where_it_can_be_had_otherwise(starter: Pack) -> None:
    options, _ = watched(starter, (ROCM, CPU))
    assert not options.enable_profiling
    assert options.intra_op_num_threads == 2


@pytest.mark.usefixtures("old_build")
def test_an_old_build_profiles_a_run_on_one_thread_and_the_file_is_gone(
    starter: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    options, placement = watched(starter, (ROCM, CPU))
    assert set(placement) == {CPU}
    assert placement[CPU] > 3
    assert options.intra_op_num_threads == 1, "a profiled pool of threads keeps memory"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.usefixtures("old_build")
def test_an_old_build_on_the_cpu_profiles_nothing(starter: Pack) -> None:
    options, placement = watched(starter, (CPU,))
    assert placement == {}
    assert not options.enable_profiling
    assert options.intra_op_num_threads == 2


@pytest.mark.usefixtures("old_build")
def test_without_a_place_for_the_profile_the_network_computes_all_the_same(
    starter: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    assert watched(starter, (ROCM, CPU))[1] == {}
    assert "cannot be seen" in caplog.text


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_run_leaves_no_memory_behind(starter: Pack) -> None:
    """With a profile that has ended it would be 190 bytes, on this small network."""
    path = starter.models[Role.AGE].path
    done = subprocess.run([sys.executable, "-c", GROWTH, path], capture_output=True, text=True)
    assert float(done.stdout) < 100, f"{done.stdout} bytes a run: {done.stderr}"
