"""Providers: what is asked for is taken, or the start says why not."""

from __future__ import annotations

import logging

import pytest

from face_service.errors import ProviderError
from face_service.runtime.processor import Processor
from face_service.runtime.providers import AUTO, AUTO_ORDER, CPU, OPENVINO, PROVIDERS, Precision
from face_service.runtime.selection import choose_providers, log_selection

from .conftest import CUDA, ROCM, TENSORRT

ONE_BUILD = {"onnxruntime": "1.32.0"}


def choose(*asked: str, offered: tuple[str, ...], installed: dict[str, str] | None = None):
    return choose_providers(asked, "fp32", offered, installed or ONE_BUILD)


def test_the_order_is_kept_and_what_stands_behind_takes_over() -> None:
    chosen = choose(TENSORRT, CUDA, CPU, offered=(CPU, CUDA, TENSORRT))
    assert chosen.attempts == ((TENSORRT, CUDA, CPU), (CUDA, CPU), (CPU,))
    assert chosen.asked == (TENSORRT, CUDA, CPU)
    assert chosen.offered == (CPU, CUDA, TENSORRT)
    assert chosen.reasons == {}


def test_nothing_that_is_not_asked_for_takes_over() -> None:
    assert choose(CUDA, offered=(CUDA, CPU)).attempts == ((CUDA,),)


def test_the_cpu_first_means_the_cpu() -> None:
    assert choose(CPU, CUDA, offered=(CUDA, CPU)).attempts[0][0] == CPU


@pytest.mark.parametrize("name", sorted(set(PROVIDERS) - {CPU}))
def test_a_missing_provider_stops_the_start_and_names_the_package(name: str) -> None:
    with pytest.raises(ProviderError) as caught:
        choose(name, offered=("AzureExecutionProvider", CPU))
    said = str(caught.value)
    assert f"ONNX_PROVIDERS={name}" in said
    assert f"pip uninstall -y onnxruntime && pip install {PROVIDERS[name].package}" in said
    assert f"add {CPU} to ONNX_PROVIDERS" in said


def test_a_missing_provider_with_the_cpu_behind_it_leaves_a_reason() -> None:
    chosen = choose(CUDA, CPU, offered=(CPU,))
    assert chosen.attempts == ((CPU,),)
    (reason,) = chosen.ahead_of(CPU, chosen.reasons)
    assert "CUDAExecutionProvider is not in this ONNX Runtime" in reason
    assert "onnxruntime-gpu" in reason


@pytest.mark.parametrize(
    ("asked", "precision", "offered", "computing", "missed"),
    [
        pytest.param((CUDA, CPU), "fp16", (CUDA, CPU), CUDA, [], id="the CPU has no fp16"),
        pytest.param((CUDA, ROCM, CPU), "fp32", (CUDA, CPU), CUDA, [], id="a list for a fleet"),
        pytest.param((ROCM, CUDA, CPU), "fp32", (CUDA, CPU), CUDA, [ROCM], id="the second"),
        pytest.param((TENSORRT, CUDA), "fp32", (CUDA, CPU), CUDA, [TENSORRT], id="not built"),
        pytest.param((OPENVINO, CPU), "bf16", (OPENVINO, CPU), OPENVINO, [], id="bf16"),
        pytest.param((AUTO,), "fp16", (CUDA, OPENVINO, CPU), CUDA, [], id="auto"),
    ],
)
def test_only_what_was_to_be_tried_before_is_missed(
    asked: tuple[str, ...],
    precision: Precision,
    offered: tuple[str, ...],
    computing: str,
    missed: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    able = Processor("with bf16", "avx512-bf16", ("avx512_bf16",), {})
    monkeypatch.setattr("face_service.runtime.precision.processor", lambda _: able)
    chosen = choose_providers(asked, precision, offered, ONE_BUILD)
    assert chosen.attempts[0][0] == computing
    reasons = chosen.ahead_of(computing, chosen.reasons)
    assert [reason.partition(" ")[0] for reason in reasons] == missed


def test_what_auto_has_tried_in_vain_is_missed() -> None:
    chosen = choose(AUTO, offered=(CUDA, OPENVINO, CPU))
    tried = {CUDA: "no driver"}
    assert chosen.ahead_of(OPENVINO, tried) == ["no driver"]
    assert chosen.ahead_of(CUDA, {OPENVINO: "no library"}) == []


def test_falling_back_to_the_cpu_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        fallback = log_selection((CPU,), ["CUDAExecutionProvider is not there"])
    warning = next(r for r in caplog.records if r.levelno == logging.WARNING).getMessage()
    assert warning == fallback
    assert warning.startswith("No configured providers available, falling back to CPU: CUDA")
    assert "Using ONNX providers: ['CPUExecutionProvider']" in caplog.text


def test_falling_back_to_another_card_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    assert (
        log_selection((CUDA, CPU), ["no TensorRT"])
        == "Falling back to CUDAExecutionProvider: no TensorRT"
    )
    assert "Falling back" in caplog.text


def test_nothing_is_said_where_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    assert log_selection((CUDA, CPU), []) is None
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_auto_tries_what_is_offered_best_first_and_the_cpu_last() -> None:
    offered = (CPU, OPENVINO, TENSORRT, CUDA)
    assert choose(AUTO, offered=offered).attempts == ((CUDA, CPU), (OPENVINO, CPU), (CPU,))
    assert choose(AUTO, offered=("AzureExecutionProvider", CPU)).attempts == ((CPU,),)
    assert AUTO_ORDER[-1] == CPU
    assert set(AUTO_ORDER) == set(PROVIDERS) - {TENSORRT}


def test_auto_leaves_out_what_does_not_compute_in_the_precision() -> None:
    chosen = choose_providers((AUTO,), "fp16", (CUDA, OPENVINO, CPU), ONE_BUILD)
    assert chosen.attempts == ((CUDA, CPU),)
    with pytest.raises(ProviderError, match="does not compute in PRECISION=fp16"):
        choose_providers((AUTO,), "fp16", (CPU,), ONE_BUILD)


def test_less_precision_never_falls_back_to_more() -> None:
    chosen = choose_providers((CUDA, CPU), "fp16", (CUDA, CPU), ONE_BUILD)
    assert chosen.attempts == ((CUDA, CPU),)
    with pytest.raises(ProviderError, match=r"CPUExecutionProvider does not compute in .*fp16"):
        choose_providers((CUDA, CPU), "fp16", (CPU,), ONE_BUILD)


def test_two_builds_at_once_are_named_with_the_command_that_repairs_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    both = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"}
    repair = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"
    with pytest.raises(ProviderError) as caught:
        choose(CUDA, offered=(CPU,), installed=both)
    assert "onnxruntime 1.32.0 and onnxruntime-gpu 1.31.1 are installed together" in str(
        caught.value
    )
    assert repair in str(caught.value)
    caplog.clear()
    assert choose(CUDA, CPU, offered=(CUDA, CPU), installed=both).attempts[0] == (CUDA, CPU)
    assert repair in caplog.text


@pytest.mark.parametrize("asked", [(AUTO,), (CUDA, CPU), (CPU,)])
def test_two_builds_at_once_are_told_to_whoever_asks_the_service(asked: tuple[str, ...]) -> None:
    both = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"}
    (warning,) = choose(*asked, offered=(CUDA, CPU), installed=both).warnings
    kept = "onnxruntime" if asked == (CPU,) else "onnxruntime-gpu"
    assert warning.endswith(f"pip uninstall -y onnxruntime onnxruntime-gpu && pip install {kept}")
    assert choose(*asked, offered=(CUDA, CPU)).warnings == ()


def test_this_machine_has_the_cpu() -> None:
    assert choose_providers((CPU,)).attempts == ((CPU,),)
