"""How near the networks come to the fastest matrix product of this processor.

    .venv/bin/python -m benchmarks.studies.peak [--pack .oracle/packs/standin] [--rounds 9]

In turn, on every core: a product of two matrices by ONNX Runtime, in fp32; images with
0, 1 and 6 faces one after the other, each network on all cores and the faces as one batch (as
commit 8b9539d computed them); and as many images side by side as there are cores, each on one
thread, its faces one by one (decision 0012). No server, no decoding. The arithmetic of a network is
that of its Conv, Gemm and MatMul nodes, two operations for each product that is added up.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from benchmarks.frames import ROOT
from benchmarks.tables import table
from face_service.packs.entries import Role
from face_service.packs.local import load_folder
from face_service.runtime.processor import in_words, processor
from face_service.runtime.threads import available_cpus

FACES = (0, 1, 6)
DETECTION, FACE = (1, 3, 384, 640), (1, 3, 112, 112)
SIDE = 1536
"""Rows and columns of the matrices: 9 MB each, more than a core's cache and less than all."""


def operations(path: Path, shape: tuple[int, ...]) -> int:
    """Floating point operations of a run on an input of this shape."""
    model = onnx.load(path)
    for n, size in enumerate(shape):
        model.graph.input[0].type.tensor_type.shape.dim[n].dim_value = size
    # Sizes that the file itself declares for what comes later would contradict the input's.
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {weight.name: tuple(weight.dims) for weight in graph.initializer}
    for value in [*graph.value_info, *graph.output]:
        shapes[value.name] = tuple(one.dim_value for one in value.type.tensor_type.shape.dim)
    products = 0
    for node in graph.node:
        if node.op_type == "Conv":
            products += math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type in ("Gemm", "MatMul"):
            products += math.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]
    return 2 * products


def session(model: Path | bytes, threads: int) -> ort.InferenceSession:
    """Opened as the service does: threads that do not spin."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def product(side: int) -> bytes:
    """A network that multiplies two square matrices."""
    a, b, c = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [side, side])
        for name in "abc"
    )
    node = onnx.helper.make_node("MatMul", ["a", "b"], ["c"])
    graph = onnx.helper.make_graph([node], "product", [a, b], [c])
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()


def run(opened: ort.InferenceSession, *inputs: np.ndarray) -> None:
    """One run, its outputs thrown away."""
    names = [one.name for one in opened.get_inputs()]
    opened.run(None, dict(zip(names, inputs, strict=True)))


Work = dict[tuple[str, int], Callable[[], object]]


def images(paths: list[Path], cores: int) -> Work:
    """By arrangement and number of faces: one image in line, or one for each core side by side."""
    (detect, embed), (detect_1, embed_1) = (
        [session(path, threads) for path in paths] for threads in (cores, 1)
    )
    random = np.random.default_rng(0)
    frame, face = (random.random(shape, np.float32) for shape in (DETECTION, FACE))
    pool = ThreadPoolExecutor(cores)

    def in_line(faces: int) -> None:
        run(detect, frame)
        if faces:
            run(embed, np.repeat(face, faces, axis=0))

    def on_one_thread(faces: int) -> None:
        run(detect_1, frame)
        for _ in range(faces):
            run(embed_1, face)

    def side_by_side(faces: int) -> None:
        list(pool.map(on_one_thread, [faces] * cores))

    return {
        (call.__name__, faces): partial(call, faces)
        for faces in FACES
        for call in (in_line, side_by_side)
    }


def medians(work: Work, rounds: int) -> dict[tuple[str, int], float]:
    """Seconds of each, measured in turn after one round that does not count."""
    seconds: dict[tuple[str, int], list[float]] = {name: [] for name in work}
    for _ in range(rounds + 1):
        for name, call in work.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pack", type=Path, default=ROOT / ".oracle" / "packs" / "standin")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    cores = available_cpus()
    pack = load_folder(given.pack)
    paths = [pack.models[role].path for role in (Role.DETECTION, Role.RECOGNITION)]
    matrix = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    multiply = partial(run, session(product(SIDE), cores), matrix, matrix)
    seconds = medians({("product", SIDE): multiply, **images(paths, cores)}, given.rounds)
    peak = 2e-9 * SIDE**3 / seconds["product", SIDE]
    of_frame, of_face = map(operations, paths, (DETECTION, FACE))
    lines = []
    for faces in FACES:
        needed = 1e-9 * (of_frame + faces * of_face)
        before, now = 1 / seconds["in_line", faces], cores / seconds["side_by_side", faces]
        lines.append(
            f"| {faces} | {needed:.1f} | {before:.2f} | {now:.2f} | **{now / before:.2f}×** "
            f"| {before * needed / peak:.0%} | {now * needed / peak:.0%} "
            f"| **{peak / needed / before:.2f}×** |"
        )
    print(in_words(processor()), end="\n\n")
    print(f"10^9 operations a second of a product of matrices on all cores: {peak:.0f}\n")
    print(
        table(
            "| faces | 10^9 operations | images/s in line | side by side | ratio "
            "| in line, share of the product's rate | side by side | at that rate / in line |",
            lines,
        )
    )


if __name__ == "__main__":
    main()
