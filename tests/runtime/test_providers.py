"""Providers: what is asked for is taken, or the start says why not."""

from __future__ import annotations

import json
import logging

import pytest

from face_service.errors import ProviderError
from face_service.runtime.providers import CPU, OPENVINO, choose_providers, provider_options

CUDA, MIGRAPHX = "CUDAExecutionProvider", "MIGraphXExecutionProvider"


def test_available_providers_keep_their_order() -> None:
    assert choose_providers((CUDA, CPU), (CPU, CUDA)) == (CUDA, CPU)


def test_a_missing_provider_stops_the_start_and_names_the_package() -> None:
    with pytest.raises(
        ProviderError, match=r"MIGraphX.*onnxruntime-migraphx.*CPUExecutionProvider"
    ):
        choose_providers((MIGRAPHX,), (CPU,))


def test_falling_back_must_be_allowed_and_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert choose_providers((CUDA, CPU), (CPU,)) == (CPU,)
    warning = next(r for r in caplog.records if r.levelno == logging.WARNING).getMessage()
    assert warning.startswith("No configured providers available, falling back to CPU")
    assert "onnxruntime-gpu" in warning


def test_this_machine_has_the_cpu() -> None:
    assert choose_providers((CPU,)) == (CPU,)


@pytest.mark.parametrize(
    ("precision", "hint"), [("fp32", "f32"), ("bf16", "bf16"), ("int8", "f32")]
)
def test_options_of_openvino(precision: str, hint: str) -> None:
    options = provider_options(OPENVINO, precision, threads=3)
    assert options.pop("device_type") == "CPU"
    assert json.loads(options.pop("load_config")) == {
        "CPU": {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": "3",
            "NUM_STREAMS": "1",
            "PERFORMANCE_HINT": "LATENCY",
        }
    }
    assert options == {}


def test_other_providers_keep_their_own_defaults() -> None:
    assert provider_options(CPU, "fp32", threads=3) == {}
    assert provider_options(CUDA, "int8", threads=3) == {}
