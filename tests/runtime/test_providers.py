"""Providers: what is asked for is taken, or the start says why not."""

from __future__ import annotations

import logging

import pytest

from face_service.errors import ProviderError
from face_service.runtime.providers import CPU, choose_providers

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
