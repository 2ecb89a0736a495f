"""Buffers that stay: the answers of `session.run`, and on a card memory that is taken once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from face_service.runtime.binding import FixedBuffers, why_no_buffers
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import CPU, OPENVINO
from face_service.runtime.rewriting import Edits, rewritten

from .conftest import COREML, CUDA, DML, MIGRAPHX, ROCM, TENSORRT, Load, Ort

CARDS = (CUDA, TENSORRT, ROCM, MIGRAPHX)


@pytest.fixture(scope="module")
def session(shared: Path) -> Any:
    """A detector that takes any number of images of any size, on this processor."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    network = rewritten(shared / "models" / "det_500m.onnx", Edits(free_batch=True))
    return onnxruntime.InferenceSession(network, options, providers=[CPU])


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_answers_are_those_of_run_whatever_was_computed_before(session: Any) -> None:
    buffers = FixedBuffers(session, "input.1", "cpu", 0)
    blobs = [noise(seed, *shape) for seed, shape in enumerate([(2, 3, 64, 96), (1, 3, 128, 128)])]
    blobs += [noise(7, *blob.shape) for blob in blobs]
    given = [blob.copy() for blob in blobs]
    answers = [buffers.run(blob) for blob in (*blobs, *blobs)]
    for blob, before, first, second in zip(blobs, given, answers[:4], answers[4:], strict=True):
        expected = session.run(None, {"input.1": blob})
        assert len(first) == len(expected) == 9
        for one, other, right in zip(first, second, expected, strict=True):
            np.testing.assert_array_equal(one, right)  # also after the runs that followed
            np.testing.assert_array_equal(other, right)
        np.testing.assert_array_equal(blob, before)


@pytest.mark.parametrize("provider", CARDS)
def test_memory_on_the_card_is_taken_once_for_every_shape(
    provider: str, load: Load, ort: Ort, age: NetworkSpec
) -> None:
    network = load(provider, CPU, device=1)
    ort.memory.clear()  # it was tried whether there is any
    one, four = (np.full((rows, 3, 64, 64), rows, np.float32) for rows in (1, 4))
    for blob in (one, four, one, four):
        (answer,) = network.run(blob)
        assert (answer == blob.sum(axis=(1, 2, 3), keepdims=True)).all()
    shapes = [(1, 3, 64, 64), (4, 3, 64, 64)]
    assert [value.made for value in ort.memory] == [
        (shape, "float32", "cuda", 1) for shape in shapes
    ]
    assert [value.updates for value in ort.memory] == [2, 2]
    bindings = [binding for session in ort.sessions for binding in session.bindings]
    assert [list(binding.inputs) for binding in bindings] == [["images"]] * 2
    assert [binding.outputs for binding in bindings] == [["first", "second"]] * 2


@pytest.mark.parametrize("provider", CARDS)
def test_it_is_the_memory_of_the_card_that_computes(provider: str, load: Load, ort: Ort) -> None:
    load(provider, overrides={provider: {"device_id": "2"}})
    assert {value.made[2:] for value in ort.memory} == {("cuda", 2)}


@pytest.mark.parametrize("provider", [CPU, OPENVINO, COREML, DML])
def test_others_take_no_memory_of_a_card(provider: str, load: Load, ort: Ort) -> None:
    load(provider).run(np.zeros((1, 3, 64, 64), np.float32))
    assert not ort.memory
    assert not any(session.bindings for session in ort.sessions)


def test_a_build_that_gives_no_memory_computes_without_and_says_so(
    load: Load, ort: Ort, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("Can't allocate memory on the CUDA device")

    monkeypatch.setattr(onnxruntime.OrtValue, "ortvalue_from_shape_and_type", fails)
    network = load(CUDA)
    assert network.run(np.zeros((1, 3, 64, 64), np.float32))
    assert [session.bindings for session in ort.sessions] == [[]]
    assert why_no_buffers("cuda", 0) == "Can't allocate memory on the CUDA device"
