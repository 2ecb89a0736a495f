"""Networks: batches of any length through graphs of any batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from face_service.assembly import Canvases, build_engine
from face_service.errors import ProviderError
from face_service.packs.catalog import Role
from face_service.packs.pack import Pack
from face_service.runtime import network as module
from face_service.runtime.network import MAX_BATCH, Network, load_network
from face_service.runtime.providers import CPU, OPENVINO
from face_service.vision.canvas import Size


def blob(rows: int, side: int) -> np.ndarray:
    return np.random.default_rng(rows).standard_normal((rows, 3, side, side)).astype(np.float32)


@pytest.mark.parametrize("role", [Role.RECOGNITION, Role.AGE], ids=["fixed batch 1", "any batch"])
@pytest.mark.parametrize("rows", [1, 2, MAX_BATCH, MAX_BATCH + 3])
def test_every_row_gets_its_own_answer(starter: Pack, role: Role, rows: int) -> None:
    network = load_network(starter.models[role].path, (CPU,), threads=1)
    side = network.input_shape[2]
    assert side is not None
    batch = blob(rows, side)

    (answers,) = network.run_batched(batch)

    singles = np.concatenate([network.run(batch[i : i + 1])[0] for i in range(rows)])
    assert answers.shape == singles.shape
    assert np.abs(answers - singles).max() < 1e-4


class FixedBatch(Network):
    """A graph whose first axis is 4: answers the sum of each row, refuses other lengths."""

    def __init__(self) -> None:
        self.input_shape = (4, 3, 8, 8)

    def run(self, rows: np.ndarray) -> list[np.ndarray]:
        assert rows.shape == self.input_shape
        return [rows.sum(axis=(1, 2, 3))]


@pytest.mark.parametrize("rows", [1, 4, 6])
def test_a_fixed_batch_is_filled_up_and_cut(rows: int) -> None:
    batch = blob(rows, 8)
    (answers,) = FixedBatch().run_batched(batch)
    assert answers == pytest.approx(batch.sum(axis=(1, 2, 3)), abs=1e-4)


class FakeSession:
    """Stands for ONNX Runtime on a machine without the hardware; keeps what it was given."""

    def __init__(
        self, path: Path, options: object, providers: list[tuple[str, dict[str, str]]]
    ) -> None:
        self.options, self.asked = options, providers

    def get_providers(self) -> list[str]:
        return [CPU]

    def get_inputs(self) -> list[object]:
        return [type("Input", (), {"name": "x", "shape": ["n", 3, 112, 112]})]


def test_a_provider_that_does_not_load_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.onnxruntime, "InferenceSession", FakeSession)
    with pytest.raises(ProviderError, match=r"w.onnx.*CUDAExecutionProvider"):
        load_network(Path("w.onnx"), ("CUDAExecutionProvider",), threads=2)


def test_a_provider_that_does_not_load_is_loud_where_the_cpu_may_take_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module.onnxruntime, "InferenceSession", FakeSession)
    network = load_network(Path("w.onnx"), ("CUDAExecutionProvider", CPU), threads=2)
    assert network.providers == (CPU,)
    assert (
        "could not load CUDAExecutionProvider and computes on CPUExecutionProvider" in caplog.text
    )


def test_bf16_never_falls_back_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.onnxruntime, "InferenceSession", FakeSession)
    with pytest.raises(ProviderError, match=f"could not load {OPENVINO}.*or set PRECISION=fp32"):
        load_network(Path("w.onnx"), (OPENVINO, CPU), threads=2, precision="bf16")


def test_the_engine_names_the_providers_that_were_taken(
    starter: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.onnxruntime.InferenceSession
    monkeypatch.setattr(
        module.onnxruntime,
        "InferenceSession",
        lambda path, options, providers: real(path, options, [CPU]),
    )
    canvases = Canvases((Size(640, 640),), None)
    engine = build_engine(starter, canvases, ("CUDAExecutionProvider", CPU), threads=1)
    assert engine.info.providers == (CPU,)


def test_options_given_to_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.onnxruntime, "InferenceSession", FakeSession)
    network = load_network(Path("w.onnx"), ("CUDAExecutionProvider", CPU), threads=3)
    session = network._session
    assert session.asked == [("CUDAExecutionProvider", {}), (CPU, {})]
    assert session.options.intra_op_num_threads == 3
    assert session.options.inter_op_num_threads == 1
    assert session.options.log_severity_level == 3
    assert session.options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert network.input_shape == (None, 3, 112, 112)
