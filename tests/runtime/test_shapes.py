"""Whatever the image and however many faces: a network is shown nothing that was not foreseen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from face_service.engine_factory.builder import Canvases, attribute_roles, build_engine
from face_service.face_engine import FaceEngine
from face_service.packs.entries import Role
from face_service.packs.local import load_folder
from face_service.packs.pack import Pack, sha256_of
from face_service.packs.roles import INPUT_SIDE
from face_service.runtime import compiling
from face_service.runtime import session as session_module
from face_service.runtime.graph import read_input
from face_service.runtime.network import Network, load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import CPU, PROVIDERS, RuntimeConfig
from face_service.runtime.rewriting import rewritten
from face_service.vision.canvas import allowed_canvases
from face_service.vision.detector import CLOSEUP


class Watched:
    """A session that notes the shapes it is shown."""

    def __init__(self, path: Path, options: Any, providers: Any, enable_fallback: int) -> None:
        self.input = read_input(path).shape
        self.seen: set[tuple[int, ...]] = set()
        self._names = [name for name, _ in providers]

    def get_providers(self) -> list[str]:
        return self._names

    def run(self, _: None, feed: dict[str, np.ndarray], *__: Any) -> list[np.ndarray]:
        (blob,) = feed.values()
        self.seen.add(blob.shape)
        return [np.ones((len(blob), 512), np.float32)]

    def get_provider_graph_assignment_info(self) -> list[Any]:
        return []


@pytest.fixture(scope="module")
def pack(with_edgeface: Callable[[str], Path]) -> Pack:
    """Networks that take any batch, and a detector that takes any size."""
    return load_folder(with_edgeface("det_500m"))


@pytest.fixture(scope="module", params=PROVIDERS)
def engine(
    request: pytest.FixtureRequest, pack: Pack, tmp_path_factory: pytest.TempPathFactory
) -> FaceEngine:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_module.onnxruntime, "InferenceSession", Watched)
        patch.setattr(compiling, "compile_one", lambda *_: None)
        canvases = Canvases(allowed_canvases(640), CLOSEUP)
        config = RuntimeConfig(cache=tmp_path_factory.mktemp("cache"))
        return build_engine(pack, canvases, (request.param,), config=config)


def black(network: Network, rows: int, height: int, width: int) -> np.ndarray:
    """Input for a network, as it takes it."""
    if network.takes_pixels:
        return np.zeros((rows, height, width, 3), np.uint8)
    return np.zeros((rows, 3, height, width), np.float32)


def sides(network: Network, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Height and width in the shape of an input."""
    return shape[1:3] if network.takes_pixels else shape[2:]


def sessions(network: Network) -> dict[tuple[int, ...] | None, Watched]:
    (of_one_width,) = network._sessions.values()
    return {key: opened.session for key, opened in of_one_width.items()}


@given(st.integers(1, 3000), st.integers(1, 3000), st.lists(st.integers(0, 70), max_size=4))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_only_shapes_that_were_foreseen(
    engine: FaceEngine, height: int, width: int, faces: list[int]
) -> None:
    detector, recogniser, attributes = engine._networks
    canvases = {(size.height, size.width) for size in (*allowed_canvases(640), CLOSEUP)}
    for one in engine.preprocessor.preprocess(np.zeros((height, width, 3), np.uint8)):
        detector.run(one.blob)
        for images in range(1, engine.images_per_run + 1):
            detector.run_batched(np.concatenate([one.blob] * images))
    for count in filter(None, faces):
        for network in (recogniser, attributes):
            side = network.input_shape[2]
            (rows,) = network.run_batched(black(network, count, side, side))
            assert len(rows) == count
    for network in engine._networks:
        for key, session in sessions(network).items():
            seen = session.seen
            assert {shape[0] for shape in seen} <= set(network.policy.batches)
            if network is detector:
                assert {sides(network, shape) for shape in seen} <= canvases
            if network.policy.kind == "fixed":
                assert seen <= {key}
                assert session.input == key, "its graph has no free axis"
            else:
                assert key is None


def test_what_is_compiled_is_all_there_is_to_compile(engine: FaceEngine) -> None:
    """Six canvases and a program for every batch size, or one session for all of them."""
    counts = [len(sessions(network)) for network in engine._networks]
    policy = engine._networks[0].policy
    fixed = policy.kind == "fixed"
    assert counts == ([6 * len(policy.batches), 4, 4] if fixed else [1, 1, 1])


CARDS = {
    "CUDAExecutionProvider": (1, 2, 4, 8),
    "TensorrtExecutionProvider": (1, 2, 4, 8),
    "ROCMExecutionProvider": (1, 2, 4, 8),
    "MIGraphXExecutionProvider": (1, 4),
}


def test_a_card_is_given_pixels_and_several_images_at_once(engine: FaceEngine) -> None:
    (provider,) = engine.info.providers
    assert engine._networks[0].policy.batches == CARDS.get(provider, (1,))
    assert all(network.takes_pixels == (provider in CARDS) for network in engine._networks)
    assert engine.images_per_run == engine._networks[0].policy.batches[-1]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_graph_that_leaves_every_axis_open_is_shown_what_its_role_says(
    provider: str, starter: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks are loaded by their names in a list: files of anybody may be in a folder."""
    folder = tmp_path / "open"
    folder.mkdir()
    for role, model in starter.models.items():
        graph = onnx.load(model.path)
        if role is not Role.DETECTION:
            for axis, name in zip(
                graph.graph.input[0].type.tensor_type.shape.dim, "nchw", strict=True
            ):
                axis.Clear()
                axis.dim_param = name
        onnx.save(graph, folder / f"{role.value}.onnx")
    models = [{"file": f"{role.value}.onnx", "role": role.value} for role in starter.models]
    manifest = {"name": "open", "models": models, "dimension": starter.dimension}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setattr(session_module.onnxruntime, "InferenceSession", Watched)
    monkeypatch.setattr(compiling, "compile_one", lambda *_: None)
    canvases = Canvases(allowed_canvases(640), CLOSEUP)
    config = RuntimeConfig(cache=tmp_path / "cache")
    built = build_engine(load_folder(folder), canvases, (provider,), config=config)
    lengths = [112, *(INPUT_SIDE[role] for role in attribute_roles(load_folder(folder)))]
    for network, side in zip(built._networks[1:], lengths, strict=True):
        (rows,) = network.run_batched(black(network, 3, side, side))
        assert len(rows) == 3


def test_a_shape_that_was_not_foreseen_reaches_the_cpu_alone(engine: FaceEngine) -> None:
    detector = engine._networks[0]
    odd = black(detector, 1, 320, 320)
    if detector.policy.kind == "dynamic":
        assert detector.run(odd)
        return
    with pytest.raises(ValueError, match=r"1×(3×320×320|320×320×3) is none of the shapes"):
        detector.run(odd)


def test_warming_up_shows_every_shape(engine: FaceEngine) -> None:
    for network in engine._networks:
        for session in sessions(network).values():
            session.seen.clear()
    for network in engine._networks[1:]:
        side = network.input_shape[2]
        for rows in network.policy.batches:
            network.run_batched(black(network, rows, side, side))
        seen = {shape[0] for session in sessions(network).values() for shape in session.seen}
        assert seen == set(network.policy.batches)


@pytest.mark.parametrize(
    ("file", "shape"),
    [
        ("det_500m.onnx", (1, 3, 384, 640)),
        ("det_500m.onnx", (1, 3, 128, 128)),
        ("det_2.5g.onnx", (1, 3, 640, 480)),
        ("edgeface_xs.onnx", (4, 3, 112, 112)),
    ],
    ids=str,
)
def test_a_graph_of_fixed_shape_computes_the_same(
    file: str, shape: tuple[int, ...], shared: Path, tmp_path: Path
) -> None:
    path, fixed = shared / "models" / file, tmp_path / file
    fixed.write_bytes(rewritten(path, shape=shape))
    assert read_input(fixed).shape == shape
    free, bound = load_networks(
        [NetworkSpec(file, sha256_of(file)) for file in (path, fixed)], (CPU,), RuntimeConfig(2)
    )
    blob = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for ours, theirs in zip(bound.run(blob), free.run(blob), strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 1e-4
    onnx.checker.check_model(onnx.load(fixed))
    session = onnxruntime.InferenceSession(fixed, providers=[CPU])
    assert session.get_inputs()[0].shape == list(shape)
