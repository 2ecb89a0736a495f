"""Networks: batches of any length through graphs of any batch."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import onnx
import pytest

from face_service.packs.entries import Role
from face_service.packs.pack import Pack
from face_service.runtime.network import Network, load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.policy import MAX_BATCH
from face_service.runtime.providers import CPU, RuntimeConfig


def load(path: Path, sha256: str, threads: int = 1, *narrower: int) -> Network:
    config = RuntimeConfig(threads=threads, narrower=narrower)
    (network,) = load_networks([NetworkSpec(path, sha256)], (CPU,), config)
    return network


def blob(rows: int, side: int) -> np.ndarray:
    return np.random.default_rng(rows).standard_normal((rows, 3, side, side)).astype(np.float32)


@pytest.mark.parametrize("role", [Role.RECOGNITION, Role.AGE], ids=["fixed batch 1", "any batch"])
@pytest.mark.parametrize("rows", [1, 2, MAX_BATCH, MAX_BATCH + 3])
def test_every_row_gets_its_own_answer(starter: Pack, role: Role, rows: int) -> None:
    model = starter.models[role]
    network = load(model.path, model.sha256)
    batch = blob(rows, network.input_shape[2] or 0)

    (answers,) = network.run_batched(batch)

    singles = np.concatenate([network.run(batch[i : i + 1])[0] for i in range(rows)])
    assert answers.shape == singles.shape
    assert np.array_equal(answers, singles), "an embedding depends on who else is in the picture"


@pytest.mark.parametrize(
    ("threads", "rows", "expected"),
    [
        (1, 3, [1, 1, 1]),
        (2, 1, [2]),
        (2, 5, [1, 1, 1, 1, 2]),
        (4, 2, [4, 4]),
        (4, 3, [1, 1, 1]),
        (4, 9, [1] * 8 + [4]),
    ],
)
def test_faces_are_computed_side_by_side(
    threads: int, rows: int, expected: list[int], starter: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enough of them to keep most threads busy: each on one. Of fewer, each on all."""
    model = starter.models[Role.AGE]
    narrower = (1,) if threads > 1 else ()
    network = load(model.path, model.sha256, threads, *narrower)
    batch = blob(rows, network.input_shape[2] or 0)
    singles = np.concatenate([network.run(batch[i : i + 1])[0] for i in range(rows)])
    most = threads if expected[0] == 1 else 1
    together = threading.Barrier(min(rows, most))
    run, ran = network.run, []

    def recorded(part: np.ndarray, width: int) -> list[np.ndarray]:
        ran.append(width)
        if width == 1:
            together.wait(30)  # broken unless so many run at the same time
        return run(part, width)

    monkeypatch.setattr(network, "run", recorded)
    (answers,) = network.run_batched(batch)
    assert ran == expected
    assert np.array_equal(answers, singles), "an embedding depends on how many compute"


def test_a_network_that_takes_no_pictures_is_refused(tmp_path: Path) -> None:
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1, 3]) for name in "xy"]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"], "n")], "g", ends[:1], ends[1:]
    )
    onnx.save(onnx.helper.make_model(graph), tmp_path / "a.onnx")
    with pytest.raises(ValueError, match=r"a\.onnx: its input does not have four axes"):
        load(tmp_path / "a.onnx", "0" * 64)


def test_without_a_session_of_one_thread_they_are_computed_one_by_one(
    starter: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where weights cannot be mapped."""
    monkeypatch.setattr("face_service.runtime.plans.mapped_network", lambda *_: None)
    model = starter.models[Role.AGE]
    network = load(model.path, model.sha256, 2, 1)
    assert not network.maps_weights
    assert network.widths == (2,)
    (answers,) = network.run_batched(blob(3, network.input_shape[2] or 0))
    assert len(answers) == 3
