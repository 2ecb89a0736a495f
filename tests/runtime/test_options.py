"""What ONNX Runtime is told, to the word: by provider, by setting, by network."""

from __future__ import annotations

import json
from pathlib import Path

import onnxruntime
import pytest

from face_service.errors import ProviderError
from face_service.packs.entries import Role
from face_service.packs.pack import Pack
from face_service.runtime.arena import SHARED
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import CPU, OPENVINO, PROVIDERS
from face_service.runtime.rewriting import rewritten
from face_service.runtime.session import RECORD

from .conftest import COREML, CUDA, DML, MIGRAPHX, ROCM, TENSORRT, Load, Ort

CUDA_OPTIONS = {
    "device_id": "0",
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
    "use_tf32": "False",
}


def test_cuda(load: Load, ort: Ort) -> None:
    load(CUDA, CPU)
    assert ort.sessions[0].providers == [(CUDA, CUDA_OPTIONS), (CPU, {})]


def test_cuda_by_settings(load: Load, ort: Ort) -> None:
    load(CUDA, device=3, memory_limit=2_000_000_000)
    assert ort.options(CUDA) == [{**CUDA_OPTIONS, "device_id": "3", "gpu_mem_limit": "2000000000"}]


def test_what_the_operator_says_wins(load: Load, ort: Ort) -> None:
    mine = {"cudnn_conv_algo_search": "EXHAUSTIVE", "prefer_nhwc": "True"}
    load(CUDA, CPU, overrides={CUDA: mine, MIGRAPHX: {"migraphx_exhaustive_tune": "True"}})
    assert ort.options(CUDA) == [{**CUDA_OPTIONS, **mine}]
    assert ort.options(CPU) == [{}]


def test_cuda_libraries_of_pip_are_loaded_first(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: called.append(True), raising=False)
    load(CUDA)
    assert called
    called.clear()
    load(CPU)
    assert not called


@pytest.mark.parametrize(("precision", "fp16"), [("fp32", "False"), ("fp16", "True")])
def test_tensorrt(
    precision: str, fp16: str, load: Load, ort: Ort, detector: NetworkSpec, tmp_path: Path
) -> None:
    load(TENSORRT, CUDA, task=detector, precision=precision, device=1)
    (options,) = ort.options(TENSORRT)
    folder = Path(options.pop("trt_engine_cache_path"))
    assert options == {
        "device_id": "1",
        "trt_engine_cache_enable": "True",
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(tmp_path / "tensorrt"),
        "trt_fp16_enable": fp16,
        "trt_profile_min_shapes": "input.1:1x128x128x3",
        "trt_profile_opt_shapes": "input.1:4x384x640x3",
        "trt_profile_max_shapes": "input.1:8x640x640x3",
    }
    assert folder.is_dir()
    assert folder.parent.name == "1x128x128x3-8x640x640x3"
    assert (tmp_path / "tensorrt").is_dir()
    assert ort.options(CUDA) == [{**CUDA_OPTIONS, "device_id": "1"}]


def test_a_graph_without_a_free_axis_has_no_profile(
    load: Load, ort: Ort, starter: Pack, tmp_path: Path
) -> None:
    """Its batch of one cannot be freed: it pads on its own (Pad)."""
    model, path = starter.models[Role.AGE], tmp_path / "age.onnx"
    path.write_bytes(rewritten(model.path, shape=(1, 3, 64, 64)))
    load(TENSORRT, task=NetworkSpec(path, model.sha256))
    assert not [name for name in ort.options(TENSORRT)[0] if "profile" in name]


def test_migraphx_has_a_session_and_a_folder_for_every_shape(
    load: Load, ort: Ort, tmp_path: Path, age: NetworkSpec
) -> None:
    load(MIGRAPHX, device=2, memory_limit=10**9)
    folders = [Path(options.pop("migraphx_model_cache_dir")) for options in ort.options(MIGRAPHX)]
    assert ort.options(MIGRAPHX) == [{"device_id": "2", "migraphx_mem_limit": "1000000000"}] * 4
    assert [folder.parent.name for folder in folders] == [
        "1x3x64x64", "2x3x64x64", "4x3x64x64", "8x3x64x64",
    ]  # fmt: skip
    assert {folder.parents[1] for folder in folders} == {tmp_path / "migraphx" / age.sha256[:16]}
    assert all(folder.is_dir() for folder in folders), "before it is used"
    assert all(folder.name.startswith(onnxruntime.__version__) for folder in folders)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_migraphx_in_halves(precision: str, load: Load, ort: Ort) -> None:
    load(MIGRAPHX, precision=precision)
    assert all(given[f"migraphx_{precision}_enable"] == "True" for given in ort.options(MIGRAPHX))


def test_rocm(load: Load, ort: Ort) -> None:
    load(ROCM, CPU, device=1, memory_limit=5)
    assert ort.options(ROCM) == [
        {
            "device_id": "1",
            "arena_extend_strategy": "kSameAsRequested",
            "miopen_conv_exhaustive_search": "False",
            "gpu_mem_limit": "5",
        }
    ]


@pytest.mark.parametrize(
    ("precision", "hint"), [("fp32", "f32"), ("bf16", "bf16"), ("int8", "f32")]
)
def test_openvino_on_the_cpu(precision: str, hint: str, load: Load, ort: Ort) -> None:
    load(OPENVINO, precision=precision, threads=3)
    (options,) = ort.options(OPENVINO)
    assert json.loads(options.pop("load_config")) == {
        "CPU": {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": "3",
            "NUM_STREAMS": "1",
            "PERFORMANCE_HINT": "LATENCY",
        }
    }
    assert options == {"device_type": "CPU"}


def test_openvino_on_an_intel_gpu(load: Load, ort: Ort, tmp_path: Path) -> None:
    load(OPENVINO, overrides={OPENVINO: {"device_type": "GPU.1"}})
    assert len(ort.sessions) == 4, "one for each batch size"
    for options in ort.options(OPENVINO):
        assert options["device_type"] == "GPU.1"
        assert Path(options["cache_dir"]).is_relative_to(tmp_path / "openvino")
        assert Path(options["cache_dir"]).is_dir()
        assert json.loads(options["load_config"]) == {
            "GPU": {
                "INFERENCE_PRECISION_HINT": "f32",
                "NUM_STREAMS": "1",
                "PERFORMANCE_HINT": "LATENCY",
            }
        }


@pytest.mark.parametrize(
    ("said", "number", "taken"),
    [
        ("GPU", 0, "GPU"), ("GPU", 2, "GPU.2"), ("GPU.1", 2, "GPU.1"), ("CPU", 2, "CPU"),
        ("NPU", 2, "NPU"),
    ],
)  # fmt: skip
def test_openvino_computes_on_the_gpu_that_device_id_says(
    said: str, number: int, taken: str, load: Load, ort: Ort
) -> None:
    load(OPENVINO, device=number, overrides={OPENVINO: {"device_type": said}})
    for options in ort.options(OPENVINO):
        assert options["device_type"] == taken
        assert set(json.loads(options["load_config"])) == {taken.partition(".")[0]}


@pytest.mark.parametrize("said", ["AUTO", "AUTO:GPU,CPU", "HETERO:GPU,CPU", "MULTI:GPU,CPU", "gpu"])
def test_openvino_is_told_one_device_lest_a_gpu_be_unused_in_silence(said: str, load: Load) -> None:
    with pytest.raises(ProviderError, match=f"device_type {said} is not one device"):
        load(OPENVINO, overrides={OPENVINO: {"device_type": said}})


def test_coreml(load: Load, ort: Ort) -> None:
    load(COREML)
    for options in ort.options(COREML):
        assert Path(options.pop("ModelCacheDirectory")).is_dir()
        assert options == {
            "ModelFormat": "MLProgram",
            "MLComputeUnits": "ALL",
            "RequireStaticInputShapes": "1",
            "EnableOnSubgraphs": "0",
            "AllowLowPrecisionAccumulationOnGPU": "0",
        }


def test_directml(load: Load, ort: Ort) -> None:
    load(DML, CPU, device=1)
    for given in ort.sessions:
        assert given.providers == [(DML, {"device_id": "1"}), (CPU, {})]
        assert given.options.enable_mem_pattern is False
        assert given.options.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL


def test_the_cpu_is_told_nothing_and_the_session_what_decision_0012_says(
    load: Load, ort: Ort
) -> None:
    load(CPU, threads=3)
    (given,) = ort.sessions
    assert given.providers == [(CPU, {})]
    assert given.options.intra_op_num_threads == 3
    assert given.options.inter_op_num_threads == 1
    assert given.options.get_session_config_entry(RECORD) == "1"
    assert not given.options.enable_profiling
    assert given.options.log_severity_level == 3
    assert given.options.enable_cpu_mem_arena is True
    for key, value in SHARED.items():  # one arena for all sessions, not one for each
        assert given.options.get_session_config_entry(key) == value
    assert given.options.enable_mem_pattern is False
    assert given.options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_option_given_is_known_and_nothing_falls_back_by_itself(
    name: str, load: Load, ort: Ort
) -> None:
    load(name, memory_limit=1, threads=2)
    for given in ort.sessions:
        assert set(dict(given.providers)[name]) <= PROVIDERS[name].known_options
        assert given.enable_fallback == 0
