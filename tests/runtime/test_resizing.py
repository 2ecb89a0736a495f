"""Networks of one size, made to take another."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from face_service.packs.entries import Role
from face_service.packs.pack import Pack
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.runtime.resizing import HasSize, resized, resized_network


def run(network: bytes | Path, blob: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(network, providers=[CPU])
    return session.run(None, {session.get_inputs()[0].name: blob})


def test_a_detector_of_one_size_computes_the_same_at_another(starter: Pack) -> None:
    """What lies far from the edges of both does not know how large the picture is."""
    path = starter.models[Role.DETECTION].path
    small = resized(path.read_bytes(), 320)
    whole = np.zeros((1, 3, 640, 640), np.float32)
    part = np.random.default_rng(0).normal(0, 0.5, (1, 3, 320, 320)).astype(np.float32)
    whole[..., :320, :320] = part
    scores, wide = run(small, part)[0], run(path, whole)[0]
    assert scores.shape == (1, 2 * 40 * 40, 1)
    middle = np.s_[:10, :10]
    np.testing.assert_allclose(
        scores.reshape(40, 40, 2)[middle], wide.reshape(80, 80, 2)[middle], atol=1e-3
    )


def test_it_is_made_once_and_not_where_the_disk_cannot_be_written(
    starter: Pack, tmp_path: Path
) -> None:
    model, config = starter.models[Role.DETECTION], RuntimeConfig(cache=tmp_path)
    made = resized_network(model.path, model.sha256, 128, config)
    assert made is not None
    os.utime(made, (0, 0))
    again = resized_network(model.path, model.sha256, 128, config)
    assert (again, made.stat().st_mtime) == (made, 0)
    (tmp_path / "file").write_bytes(b"")
    nowhere = RuntimeConfig(cache=tmp_path / "file")
    assert resized_network(model.path, model.sha256, 128, nowhere) is None


@pytest.mark.parametrize(
    ("role", "side", "why"),
    [
        pytest.param(Role.DETECTION, 100, "no whole number", id="no multiple"),
        pytest.param(Role.AGE, 32, " is a ", id="a vector of one size"),
    ],
)
def test_what_has_its_size_in_it_is_refused(starter: Pack, role: Role, side: int, why: str) -> None:
    with pytest.raises(HasSize, match=why):
        resized(starter.models[role].path.read_bytes(), side)


def without_shape(data: bytes) -> bytes:
    """With a Reshape that lacks its second input."""
    model = onnx.load_from_string(data)
    node = next(node for node in model.graph.node if node.op_type == "Reshape")
    del node.input[1:]
    return model.SerializeToString()


def with_two_inputs(data: bytes) -> bytes:
    model = onnx.load_from_string(data)
    model.graph.input.append(onnx.helper.make_tensor_value_info("more", 1, [1]))
    return model.SerializeToString()


@pytest.mark.parametrize("change", [lambda data: data[:5000], without_shape, with_two_inputs])
def test_what_is_no_whole_network_of_one_input_is_not_resized(
    change: Callable[[bytes], bytes], starter: Pack, tmp_path: Path
) -> None:
    path = tmp_path / "detector.onnx"
    path.write_bytes(change(starter.models[Role.DETECTION].path.read_bytes()))
    assert resized_network(path, "0" * 64, 128, RuntimeConfig(cache=tmp_path)) is None


def test_what_does_not_run_is_not_kept(starter: Pack, tmp_path: Path) -> None:
    """Pools of 7×7 in the recogniser leave nothing of a picture of 16 pixels."""
    model = starter.models[Role.RECOGNITION]
    assert resized_network(model.path, model.sha256, 16, RuntimeConfig(cache=tmp_path)) is None
    assert not list(tmp_path.rglob("*.onnx"))
