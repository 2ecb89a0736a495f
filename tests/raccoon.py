"""Stand-ins for InsightFace's packs of version 2, whose files cannot be had here.

`raccoon_s` and `raccoon_l` have the layout, the manifest and the shapes that insightface 2.1 reads.
Their detectors and the recogniser are real ones of ../shared/models. The verifier is a network of
random weights: its answers mean nothing, what it is given and what becomes of them can be compared.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from face_service.packs.pack import sha256_of


def verifier(path: Path, side: int, kind: int, seed: int = 0) -> Path:
    """A network [n, 3, side, side] of this TensorProto.DataType → [n], 0 to 1."""
    random = np.random.default_rng(seed)
    weights = {
        "scale": np.array(1 / 255, np.float32),
        "w": random.normal(0, 0.6, (8, 3, 5, 5)).astype(np.float32),
        "v": random.normal(0, 0.15, (8, 1)).astype(np.float32),
        "axes": np.array([1]),
    }
    pixels = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "scale"], ["s"]),
    ]
    taken = ("s", pixels) if kind == TensorProto.UINT8 else ("x", [])
    nodes = [
        *taken[1],
        helper.make_node("Conv", [taken[0], "w"], ["c"], strides=[4, 4]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalMaxPool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["q"]),
        helper.make_node("MatMul", ["q", "v"], ["m"]),
        helper.make_node("Sigmoid", ["m"], ["g"]),
        helper.make_node("Squeeze", ["g", "axes"], ["y"]),
    ]
    return save(nodes, weights, path, [("x", kind, ["n", 3, side, side])], [("y", ["n"])])


def pixels_first(source: Path, path: Path) -> Path:
    """A recogniser that takes uint8 pixels and normalises them itself."""
    model = onnx.load(source)
    graph = model.graph
    (given,) = graph.input
    name = given.name
    given.name = "pixels"
    given.type.tensor_type.elem_type = TensorProto.UINT8
    graph.initializer.append(numpy_helper.from_array(np.array(127.5, np.float32), "half"))
    front = [
        helper.make_node("Cast", ["pixels"], ["as_floats"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["as_floats", "half"], ["around_nought"]),
        helper.make_node("Div", ["around_nought", "half"], [name]),
    ]
    nodes = [*front, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, path)
    return path


def save(
    nodes: list[Any],
    weights: dict[str, np.ndarray],
    path: Path,
    inputs: list[tuple[str, int, list[Any]]],
    outputs: list[tuple[str, list[Any]]],
) -> Path:
    """Write a network."""
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name, axes in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def write_manifest(folder: Path, **tasks: dict[str, Any]) -> None:
    """Of version 2, with fields that nobody here knows, as later ones may have."""
    content = {
        "manifest_version": 2,
        "model_id": folder.name,
        "display_name": folder.name.title(),
        "license": "MODEL.LICENSE",
        "released": "2026-09-10",
        "tasks": {**tasks, "liveness": {"file": "none.onnx"}},
    }
    (folder / "MODEL.LICENSE").write_text("A stand-in: nobody's.\n")
    (folder / "manifest.json").write_text(json.dumps(content))


def raccoon_s(models: Path, parent: Path) -> Path:
    """Defaults wherever a field may be left out; the verifier takes pixels."""
    folder = parent / "raccoon_s"
    (folder / "onnx").mkdir(parents=True)
    shutil.copyfile(models / "det_500m.onnx", folder / "onnx" / "detector.onnx")
    shutil.copyfile(models / "edgeface_xs.onnx", folder / "recognizer.onnx")
    verifier(folder / "verifier.onnx", 64, TensorProto.UINT8)
    write_manifest(
        folder,
        detection={"file": "onnx/detector.onnx", "future": [1, 2]},
        verification={"file": "verifier.onnx", "sha256": sha256_of(folder / "verifier.onnx")},
        recognition={"file": "recognizer.onnx"},
    )
    return folder


def raccoon_l(models: Path, parent: Path) -> Path:
    """Every field said; the recogniser takes pixels, the verifier floats."""
    folder = parent / "raccoon_l"
    folder.mkdir(parents=True)
    shutil.copyfile(models / "det_2.5g.onnx", folder / "detector.onnx")
    pixels_first(models / "edgeface_xs.onnx", folder / "recognizer.onnx")
    verifier(folder / "verifier.onnx", 112, TensorProto.FLOAT, seed=1)
    files = {name: folder / f"{name}.onnx" for name in ("detector", "verifier", "recognizer")}
    entries = {name: {"file": path.name, "sha256": sha256_of(path)} for name, path in files.items()}
    write_manifest(
        folder,
        detection=entries["detector"] | {"preprocessing": {"mean": 127.5, "std": 128.0}},
        verification=entries["verifier"]
        | {"preprocessing": {"mean": 110.0, "std": 200.0}, "expansion": 1.6},
        recognition=entries["recognizer"]
        | {"preprocessing": "embedded", "input_size": [112, 112], "embedding_dimension": 512},
    )
    return folder
