"""Networks loaded into sessions that keep what ONNX Runtime is told, and compute nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from face_service.packs.entries import Role
from face_service.packs.pack import Pack
from face_service.runtime import compiling, session
from face_service.runtime.network import Network, load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import RuntimeConfig
from face_service.vision.blob import SCRFD_NORMALIZATION

CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
ROCM, MIGRAPHX = "ROCMExecutionProvider", "MIGraphXExecutionProvider"
COREML, DML = "CoreMLExecutionProvider", "DmlExecutionProvider"


class Ort:
    """onnxruntime.InferenceSession, which keeps what it was given and computes nothing."""

    def __init__(self) -> None:
        self.sessions: list[FakeSession] = []
        self.memory: list[FakeValue] = []

    def __call__(self, path: Path, options: Any, providers: Any, enable_fallback: int) -> Any:
        self.sessions.append(FakeSession(path, options, providers, enable_fallback))
        return self.sessions[-1]

    def options(self, name: str) -> list[dict[str, str]]:
        """Those that each session was given for the provider `name`."""
        return [dict(session.providers)[name] for session in self.sessions]


class FakeValue:
    """onnxruntime.OrtValue: memory on a card."""

    def __init__(self, shape: Any, dtype: Any, device_type: str, device: int) -> None:
        self.made = (tuple(shape), np.dtype(dtype).name, device_type, device)
        self.content = np.empty(shape, dtype)
        self.updates = 0

    def update_inplace(self, array: np.ndarray) -> None:
        assert (array.shape, array.dtype.name) == self.made[:2]
        self.content[...] = array
        self.updates += 1


class FakeBinding:
    """What ONNX Runtime calls an IOBinding."""

    def __init__(self, session: FakeSession) -> None:
        self.session = session
        self.inputs: dict[str, FakeValue] = {}
        self.outputs: list[str] = []
        self.answer: list[np.ndarray] = []

    def bind_ortvalue_input(self, name: str, value: FakeValue) -> None:
        self.inputs[name] = value

    def bind_output(self, name: str) -> None:
        self.outputs.append(name)

    def copy_outputs_to_cpu(self) -> list[np.ndarray]:
        return self.answer


class FakeSession:
    def __init__(self, path: Path, options: Any, providers: Any, enable_fallback: int) -> None:
        self.path, self.options, self.providers = path, options, providers
        self.enable_fallback = enable_fallback
        self.runs: list[tuple[tuple[int, ...], Sequence[Any]]] = []
        self.bindings: list[FakeBinding] = []

    def get_providers(self) -> list[str]:
        return [name for name, _ in self.providers]

    def run(self, _: None, feed: dict[str, np.ndarray], *options: Any) -> list[np.ndarray]:
        (blob,) = feed.values()
        self.runs.append((blob.shape, options))
        return [blob.astype(np.float32).sum(axis=(1, 2, 3), keepdims=True)]

    def io_binding(self) -> FakeBinding:
        self.bindings.append(FakeBinding(self))
        return self.bindings[-1]

    def run_with_iobinding(self, binding: FakeBinding, *options: Any) -> None:
        assert binding.session is self
        feed = {name: value.content for name, value in binding.inputs.items()}
        binding.answer = self.run(None, feed, *options)

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="first"), SimpleNamespace(name="second")]

    def get_provider_graph_assignment_info(self) -> list[Any]:
        return []


@pytest.fixture
def ort(monkeypatch: pytest.MonkeyPatch) -> Ort:
    """In place of ONNX Runtime's sessions; what is to be compiled is compiled."""
    fake = Ort()
    monkeypatch.setattr(session.onnxruntime, "InferenceSession", fake)

    def take_memory(*what: Any) -> FakeValue:
        fake.memory.append(FakeValue(*what))
        return fake.memory[-1]

    values = SimpleNamespace(ortvalue_from_shape_and_type=take_memory)
    monkeypatch.setattr(session.onnxruntime, "OrtValue", values)
    monkeypatch.setattr(compiling, "compile_one", lambda *_: None)
    return fake


@pytest.fixture
def age(starter: Pack) -> NetworkSpec:
    """A network that takes any number of images of 64×64."""
    model = starter.models[Role.AGE]
    return NetworkSpec(model.path, model.sha256)


@pytest.fixture
def detector(shared: Path) -> NetworkSpec:
    """A network that takes any size, shown three."""
    path = shared / "models" / "det_500m.onnx"
    sizes = ((640, 640), (384, 640), (128, 128))
    return NetworkSpec(path, "5e4447f5" * 8, sizes, True, SCRFD_NORMALIZATION)


Load = Callable[..., Network]


@pytest.fixture
def load(age: NetworkSpec, tmp_path: Path, ort: Ort) -> Load:
    """Loads a network; `load(CUDA, device=1)`."""

    def loaded(*providers: str, task: NetworkSpec = age, **config: Any) -> Network:
        (made,) = load_networks([task], providers, RuntimeConfig(**{"cache": tmp_path, **config}))
        assert ort.sessions, "nothing was told to ONNX Runtime"
        return made

    return loaded
