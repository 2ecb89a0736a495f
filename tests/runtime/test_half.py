"""fp16 files: made once, computed like their originals, refused with a reason."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from face_service.errors import ProviderError
from face_service.packs.entries import Role
from face_service.packs.pack import Pack, sha256_of
from face_service.runtime import plans
from face_service.runtime.files import publish_file
from face_service.runtime.half import half_precision
from face_service.runtime.network import load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.providers import CPU, PROVIDERS, RuntimeConfig


@pytest.fixture
def recogniser(starter: Pack) -> NetworkSpec:
    model = starter.models[Role.RECOGNITION]
    return NetworkSpec(model.path, model.sha256)


def test_weights_are_halves_and_embeddings_nearly_the_same(
    recogniser: NetworkSpec, tmp_path: Path
) -> None:
    half = half_precision(recogniser.path, recogniser.sha256, RuntimeConfig(cache=tmp_path))
    assert half.stat().st_size < 0.6 * recogniser.path.stat().st_size
    kinds = {tensor.data_type for tensor in onnx.load(half).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds
    assert onnx.TensorProto.FLOAT not in kinds
    full, halved = load_networks(
        [recogniser, NetworkSpec(half, sha256_of(half))], (CPU,), RuntimeConfig(2)
    )
    blob = np.random.default_rng(0).uniform(-1, 1, (2, 3, 112, 112)).astype(np.float32)
    (a,), (b,) = full.run_batched(blob), halved.run_batched(blob)
    assert b.dtype == np.float32
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosines.min() > 0.999
    assert not np.array_equal(a, b), "and not secretly fp32"


def test_it_is_made_once(recogniser: NetworkSpec, tmp_path: Path) -> None:
    config = RuntimeConfig(cache=tmp_path)
    half = half_precision(recogniser.path, recogniser.sha256, config)
    half.write_bytes(b"kept")
    assert half_precision(recogniser.path, recogniser.sha256, config).read_bytes() == b"kept"
    assert [path.name for path in (tmp_path / "fp16").iterdir()] == [half.name]


def test_a_converter_that_casts_a_value_twice_is_put_right(
    recogniser: NetworkSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """onnxruntime 1.26, which the extra `cuda` has, writes the detector of the starter pack so."""
    from onnxruntime.transformers import float16

    convert = float16.convert_float_to_float16

    def twice(model: onnx.ModelProto, **options: bool) -> onnx.ModelProto:
        made = convert(model, **options)
        made.graph.node.extend([node for node in made.graph.node if node.op_type == "Cast"])
        return made

    monkeypatch.setattr(float16, "convert_float_to_float16", twice)
    half = half_precision(recogniser.path, recogniser.sha256, RuntimeConfig(cache=tmp_path))
    nodes = onnx.load(half).graph.node
    assert len({node.name for node in nodes}) == len(nodes)
    (network,) = load_networks([NetworkSpec(half, sha256_of(half))], (CPU,), RuntimeConfig())
    assert network.run(np.zeros((1, 3, 112, 112), np.float32))


def test_without_the_package_onnx_it_is_named(
    recogniser: NetworkSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ProviderError, match=r"pip install onnx, or set PRECISION=fp32"):
        half_precision(recogniser.path, recogniser.sha256, RuntimeConfig(cache=tmp_path))


def test_a_cache_that_cannot_be_written_is_named(recogniser: NetworkSpec, tmp_path: Path) -> None:
    (tmp_path / "fp16").write_text("in the way")
    with pytest.raises(ProviderError, match="cannot be written"):
        half_precision(recogniser.path, recogniser.sha256, RuntimeConfig(cache=tmp_path))


def test_everybody_may_read_it(recogniser: NetworkSpec, tmp_path: Path) -> None:
    """A folder of models is shared by services of several users."""
    half = half_precision(recogniser.path, recogniser.sha256, RuntimeConfig(cache=tmp_path))
    assert stat.S_IMODE(half.stat().st_mode) == 0o644


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_is_full_leaves_nothing_and_is_named(
    recogniser: NetworkSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), full)
    with pytest.raises(ProviderError, match="cannot be written: No space left on device"):
        half_precision(recogniser.path, recogniser.sha256, RuntimeConfig(cache=tmp_path))
    assert list((tmp_path / "fp16").iterdir()) == []


def test_it_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a loss of power a name without its content would be taken for a network for ever."""
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        done.append(f"sync {Path(f'/proc/self/fd/{descriptor}').resolve().stat().st_size >= 7}")
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        done.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    publish_file(tmp_path / "half.onnx", b"content")
    assert done[:2] == ["sync True", "rename"]
    assert len(done) == 3, "and then the name"
    assert (tmp_path / "half.onnx").read_bytes() == b"content"


@pytest.mark.parametrize("name", PROVIDERS)
def test_only_providers_that_want_a_file_are_given_one(
    name: str, recogniser: NetworkSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(plans, "half_precision", lambda path, *_: asked.append(path) or path)
    plans.plan_network(recogniser, PROVIDERS[name], RuntimeConfig(precision="fp16", cache=tmp_path))
    files = {"CUDAExecutionProvider", "ROCMExecutionProvider", "DmlExecutionProvider"}
    assert bool(asked) == (name in files)
