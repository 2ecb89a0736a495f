"""What ONNX Runtime is told, to the word: by provider, by setting, by network."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from face_service.errors import InferenceFailed, OutOfMemory, ProviderError
from face_service.packs.catalog import Role
from face_service.packs.pack import Pack
from face_service.runtime import compiling, network, session
from face_service.runtime.network import Network, Task, load_networks
from face_service.runtime.providers import CPU, OPENVINO, PROVIDERS, Setup
from face_service.runtime.providers import migraphx as migraphx_module
from face_service.runtime.providers import tensorrt as tensorrt_module

CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
ROCM, MIGRAPHX = "ROCMExecutionProvider", "MIGraphXExecutionProvider"
COREML, DML = "CoreMLExecutionProvider", "DmlExecutionProvider"


class Ort:
    """onnxruntime.InferenceSession, which keeps what it was given and computes nothing."""

    def __init__(self) -> None:
        self.sessions: list[FakeSession] = []

    def __call__(self, path: Path, options: Any, providers: Any, enable_fallback: int) -> Any:
        self.sessions.append(FakeSession(path, options, providers, enable_fallback))
        return self.sessions[-1]

    def options(self, name: str) -> list[dict[str, str]]:
        """Those that each session was given for the provider `name`."""
        return [dict(session.providers)[name] for session in self.sessions]


class FakeSession:
    def __init__(self, path: Path, options: Any, providers: Any, enable_fallback: int) -> None:
        self.path, self.options, self.providers = path, options, providers
        self.enable_fallback = enable_fallback
        self.runs: list[tuple[tuple[int, ...], Sequence[Any]]] = []

    def get_providers(self) -> list[str]:
        return [name for name, _ in self.providers]

    def run(self, _: None, feed: dict[str, np.ndarray], *options: Any) -> list[np.ndarray]:
        (blob,) = feed.values()
        self.runs.append((blob.shape, options))
        return [blob.sum(axis=(1, 2, 3), keepdims=True)]

    def end_profiling(self) -> str:
        path = Path(self.options.profile_file_prefix + ".json")
        path.write_text("[]")
        return str(path)


@pytest.fixture
def ort(monkeypatch: pytest.MonkeyPatch) -> Ort:
    """In place of ONNX Runtime's sessions; what is to be compiled is compiled."""
    fake = Ort()
    monkeypatch.setattr(session.onnxruntime, "InferenceSession", fake)
    monkeypatch.setattr(compiling, "compile_one", lambda *_: None)
    return fake


@pytest.fixture
def age(starter: Pack) -> Task:
    """A network that takes any number of images of 64×64."""
    model = starter.models[Role.AGE]
    return Task(model.path, model.sha256)


@pytest.fixture
def detector(shared: Path) -> Task:
    """A network that takes any size, shown three."""
    path = shared / "models" / "det_500m.onnx"
    return Task(path, "5e4447f5" * 8, ((640, 640), (384, 640), (128, 128)), single=True)


Load = Callable[..., Network]


@pytest.fixture
def load(age: Task, tmp_path: Path, ort: Ort) -> Load:
    """Loads a network; `load(CUDA, device=1)`."""

    def loaded(*providers: str, task: Task = age, **setup: Any) -> Network:
        (made,) = load_networks([task], providers, Setup(cache=tmp_path, **setup))
        return made

    return loaded


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
    precision: str, fp16: str, load: Load, ort: Ort, detector: Task, tmp_path: Path
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
        "trt_profile_min_shapes": "input.1:1x3x128x128",
        "trt_profile_opt_shapes": "input.1:1x3x384x640",
        "trt_profile_max_shapes": "input.1:1x3x640x640",
    }
    assert folder.is_dir()
    assert folder.parent.name == "1x3x128x128-1x3x640x640"
    assert (tmp_path / "tensorrt").is_dir()
    assert ort.options(CUDA) == [{**CUDA_OPTIONS, "device_id": "1"}]


def test_a_graph_without_a_free_axis_has_no_profile(load: Load, ort: Ort, starter: Pack) -> None:
    model = starter.models[Role.RECOGNITION]
    load(TENSORRT, task=Task(model.path, model.sha256))
    assert not [name for name in ort.options(TENSORRT)[0] if "profile" in name]


def test_migraphx_has_a_session_and_a_folder_for_every_shape(
    load: Load, ort: Ort, tmp_path: Path, age: Task
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


def test_another_precision_card_or_rocm_is_another_program(
    load: Load, ort: Ort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes, version = tmp_path / "nodes", tmp_path / "version"
    monkeypatch.setattr(migraphx_module, "NODES", nodes)
    monkeypatch.setattr(migraphx_module, "ROCM_VERSION", version)

    def folder(**setup: Any) -> str:
        load(MIGRAPHX, **setup)
        return ort.options(MIGRAPHX)[-1]["migraphx_model_cache_dir"]

    def card(architecture: int) -> None:
        (nodes / "1").mkdir(parents=True, exist_ok=True)
        text = f"cpu_cores_count 0\ngfx_target_version {architecture}\n"
        (nodes / "1" / "properties").write_text(text)

    known = {folder(), folder(precision="fp16"), folder(device=1)}
    known.add(folder(overrides={MIGRAPHX: {"migraphx_exhaustive_tune": "True"}}))
    card(0)  # a CPU
    assert folder() in known
    card(110000)
    known.add(folder())
    card(120001)
    known.add(folder())
    version.write_text("7.1.1-38\n")
    known.add(folder())
    assert len(known) == 7
    assert folder() in known
    assert "7.1.1-38-120001" in folder()


def test_tensorrt_programs_are_of_one_model_of_card(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    card = tmp_path / "gpus" / "0000:01:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t\t NVIDIA L4\nIRQ:   \t\t 89\n")
    monkeypatch.setattr(tensorrt_module, "DRIVER", tmp_path)
    assert PROVIDERS[TENSORRT].architecture() == "NVIDIA L4"


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
    assert given.options.log_severity_level == 3
    assert given.options.enable_mem_pattern is True
    assert given.options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_option_given_is_known_and_nothing_falls_back_by_itself(
    name: str, load: Load, ort: Ort
) -> None:
    load(name, memory_limit=1, threads=2)
    for given in ort.sessions:
        assert set(dict(given.providers)[name]) <= PROVIDERS[name].known_options
        assert given.enable_fallback == 0


def shrunk(options: Sequence[Any]) -> str | None:
    return options[0].get_run_config_entry(network.SHRINK) if options else None


def test_a_card_gets_its_memory_back_every_so_many_runs(load: Load, ort: Ort) -> None:
    loaded = load(CUDA, device=1, shrink_every=3)
    for _ in range(6):
        loaded.run(np.zeros((1, 3, 64, 64), np.float32))
    given = [shrunk(options) for _, options in ort.sessions[0].runs]
    assert given == [None, None, "gpu:1", None, None, "gpu:1"]


def test_the_card_that_gets_its_memory_back_is_the_one_that_computes(load: Load, ort: Ort) -> None:
    """ONNX Runtime fails a run that would shrink an arena it does not have."""
    loaded = load(CUDA, shrink_every=1, overrides={CUDA: {"device_id": "2"}})
    loaded.run(np.zeros((1, 3, 64, 64), np.float32))
    assert shrunk(ort.sessions[0].runs[0][1]) == "gpu:2"


@pytest.mark.parametrize(("provider", "every"), [(CUDA, 0), (MIGRAPHX, 1), (CPU, 1), (OPENVINO, 1)])
def test_others_are_never_shrunk(provider: str, every: int, load: Load, ort: Ort) -> None:
    loaded = load(provider, shrink_every=every)
    for _ in range(3):
        loaded.run(np.zeros((1, 3, 64, 64), np.float32))
    assert all(options == () for given in ort.sessions for _, options in given.runs)


BLOB = np.zeros((1, 3, 64, 64), np.float32)


def test_after_a_run_without_memory_the_next_one_gives_back(load: Load, ort: Ort) -> None:
    loaded = load(CUDA)
    (given,) = ort.sessions
    run = given.run
    given.run = fails  # type: ignore[method-assign]
    with pytest.raises(OutOfMemory):
        loaded.run(BLOB)
    given.run = run  # type: ignore[method-assign]
    loaded.run(BLOB)
    loaded.run(BLOB)
    assert [shrunk(options) for _, options in given.runs] == ["gpu:0", None]


def fails(*_: Any) -> None:
    raise RuntimeError("bfc_arena.cc: Failed to allocate memory for requested buffer of size 9")


@pytest.mark.parametrize("name", PROVIDERS)
def test_runs_on_migraphx_take_turns_across_lanes_and_others_do_not(
    name: str, age: Task, ort: Ort, tmp_path: Path
) -> None:
    setup = Setup(cache=tmp_path)
    ours, theirs = load_networks([age, age], (name,), setup)
    held = []
    for given in ort.sessions:
        given.run = lambda *_: held.append(setup.one_at_a_time.locked()) or [BLOB]  # type: ignore
    ours.run(BLOB)
    theirs.run(BLOB)
    assert held == [name == MIGRAPHX] * 2
    assert not setup.one_at_a_time.locked()


def test_who_waits_for_a_run_that_has_hung_fails(
    age: Task, ort: Ort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = Setup(cache=tmp_path)
    (loaded,) = load_networks([age], (MIGRAPHX,), setup)
    monkeypatch.setattr(network, "TURN_TIMEOUT_S", 0.01)
    with setup.one_at_a_time, pytest.raises(InferenceFailed, match="Another run has hung"):
        loaded.run(BLOB)
    assert loaded.run(BLOB)


def test_where_programs_cannot_be_kept_it_says_which_folder(
    load: Load, tmp_path: Path, age: Task
) -> None:
    (tmp_path / "migraphx").write_text("in the way")
    with pytest.raises(ProviderError, match=r"keeps what it compiles under .* MODEL_CACHE_DIR"):
        load(MIGRAPHX)
    (tmp_path / "coreml").write_text("in the way")
    load(COREML)  # compiles at every start
