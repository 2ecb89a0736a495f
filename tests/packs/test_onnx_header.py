"""Headers of ONNX files, held against what ONNX Runtime reads from the same files."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from face_service.errors import PackError
from face_service.packs.pack import Pack
from face_service.packs.roles import read_header
from face_service.runtime.graph import OnnxHeader, TensorInfo


def assert_as_onnxruntime_reads_it(path: Path) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def tensors(arguments: Any) -> tuple[TensorInfo, ...]:
        return tuple(
            TensorInfo(a.name, tuple(n if isinstance(n, int) else None for n in a.shape))
            for a in arguments
        )

    header = read_header(path)
    assert header.inputs == tensors(session.get_inputs())
    assert header.outputs == tensors(session.get_outputs())


@pytest.mark.parametrize("name", ["det_500m.onnx", "det_2.5g.onnx", "edgeface_xs.onnx"])
def test_shared_models_read_as_onnxruntime_reads_them(shared: Path, name: str) -> None:
    assert_as_onnxruntime_reads_it(shared / "models" / name)


def test_starter_networks_read_as_onnxruntime_reads_them(starter: Pack) -> None:
    for model in starter.models.values():
        assert_as_onnxruntime_reads_it(model.path)


def test_first_nodes_are_the_first_eight(starter: Pack) -> None:
    path = next(m.path for m in starter.models.values() if m.path.name == "fr_feature.onnx")
    kinds = ("Conv", "PRelu") * 4
    assert read_header(path).first_nodes == tuple(f"{k}_{n}" for n, k in enumerate(kinds))


def test_symbolic_and_unknown_axes_are_none(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(make.onnx({"x": ("N", 3, None, -1)}, {"y": (0, 512)}, ["Sub_0"]))
    assert read_header(path) == OnnxHeader(
        (TensorInfo("x", (None, 3, None, None)),), (TensorInfo("y", (None, 512)),), ("Sub_0",)
    )


def test_weights_listed_as_inputs_are_left_out(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "old.onnx"
    path.write_bytes(make.onnx({"w": (9,), "x": (1, 3)}, {"y": (1,)}, weights={"w": 9}))
    assert [tensor.name for tensor in read_header(path).inputs] == ["x"]


def test_weights_are_stepped_over(tmp_path: Path, make: Any) -> None:
    """A gigabyte of zeros, as a hole in the file: none of it is read into memory."""
    small = make.onnx({"x": (1, 3)}, {"y": (1,)})
    ir_version, graph_at = small[:2], small.index(make.pb(2, "graph"))
    graph = small[graph_at:]
    nodes = make.pb(1, make.pb(3, "Conv_0"))
    size = 1 << 30
    head = make.pb(8, "w") + b"\x4a" + make.varint(size)  # TensorProto: name, then raw_data
    weight_head = b"\x2a" + make.varint(len(head) + size) + head
    total = len(nodes) + len(weight_head) + size + len(graph)
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.write(ir_version + b"\x3a" + make.varint(total) + nodes + weight_head)
        file.seek(size, 1)
        file.write(graph)
    tracemalloc.start()
    header = read_header(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert header.outputs == (TensorInfo("y", (1,)),)
    assert peak < 1 << 20


def test_a_file_cut_anywhere_is_an_error(tmp_path: Path, make: Any) -> None:
    whole = make.detector(weight=50)
    path = tmp_path / "cut.onnx"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(PackError, match=r"cut\.onnx is not a whole ONNX file"):
            read_header(path)


def test_a_file_cut_in_its_weights_is_an_error(tmp_path: Path, make: Any) -> None:
    """Nothing forces weights to come before inputs and outputs: here they come last."""
    pb = make.pb
    graph = pb(1, pb(3, "Conv_0")) + pb(11, pb(1, "x")) + pb(12, pb(1, "y"))
    whole = pb(1, 6) + pb(7, graph + pb(5, pb(8, "w") + pb(9, bytes(1000))))
    path = tmp_path / "cut.onnx"
    path.write_bytes(whole)
    assert read_header(path).inputs == (TensorInfo("x", None),)
    path.write_bytes(whole[:-1])
    with pytest.raises(PackError, match=r"cut\.onnx is not a whole ONNX file"):
        read_header(path)


@given(content=st.binary(max_size=300))
def test_garbage_is_an_error_and_never_anything_else(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.onnx"
    path.write_bytes(content)
    with pytest.raises(PackError, match="is not a whole ONNX file"):
        read_header(path)


@given(position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_flipped_byte_is_read_or_is_a_pack_error(
    tmp_path_factory: pytest.TempPathFactory, make: Any, position: int, byte: int
) -> None:
    content = bytearray(make.detector(weight=50))
    content[position % len(content)] = byte
    path = tmp_path_factory.getbasetemp() / "flipped.onnx"
    path.write_bytes(content)
    with suppress(PackError):
        assert isinstance(read_header(path), OnnxHeader)


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="cannot be read: No such file"):
        read_header(tmp_path / "no.onnx")
    with pytest.raises(PackError, match="cannot be read: Is a directory"):
        read_header(tmp_path)
