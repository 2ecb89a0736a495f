#!/usr/bin/env bash
# ONNX Runtime computes PRelu on a CPU a number at a time, with a branch: its time depends on the signs of the data, and
# five operators that give the same bits are faster than this one.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2, x86-64.
# Behaviour: on numbers of both signs in no order, a PRelu takes several times as long as on numbers of one sign, where
# the processor foresees every branch; and several times as long as max(x, 0) - slope * max(-x, 0) in five operators.
# Guess: one operator is one pass over the data, so it takes a fifth of five operators, whatever the signs are.
# Seen (microseconds on one thread, 64 channels of 56x56; those of another processor differ, the order does not):
#   PRelu, both signs: 818
#   PRelu, one sign: 60
#   five operators, both signs: 97
#   the same bits: True
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$scratch"
ORT_DISABLE_TELEMETRY=1 venv/bin/python - <<'PYTHON'
import statistics
import sys
import time

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

SHAPE = [1, 64, 56, 56]
random = np.random.default_rng(0)
slopes = random.standard_normal((SHAPE[1], 1, 1)).astype(np.float32)
node = helper.make_node
ONE = [node("PRelu", ["x", "slopes"], ["y"])]
FIVE = [
    node("Relu", ["x"], ["positive"]),
    node("Neg", ["x"], ["flipped"]),
    node("Relu", ["flipped"], ["negative"]),
    node("Mul", ["negative", "slopes"], ["scaled"]),
    node("Sub", ["positive", "scaled"], ["y"]),
]


def session(nodes):
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, SHAPE)],
        [numpy_helper.from_array(slopes, "slopes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


both = random.standard_normal(SHAPE).astype(np.float32)
cases = {
    "PRelu, both signs": (session(ONE), both),
    "PRelu, one sign": (session(ONE), np.abs(both)),
    "five operators, both signs": (session(FIVE), both),
}
taken = {name: [] for name in cases}
answers = {}
for _ in range(200):
    for name, (each, x) in cases.items():
        since = time.perf_counter()
        (answers[name],) = each.run(None, {"x": x})
        taken[name].append(time.perf_counter() - since)
signs, one, five = (statistics.median(times) * 1e6 for times in taken.values())
for name, value in zip(taken, (signs, one, five), strict=True):
    print(f"{name}: {value:.0f}")
same = np.array_equal(answers["PRelu, both signs"], answers["five operators, both signs"])
print(f"the same bits: {same}")
sys.exit(0 if same and signs > 1.5 * one and signs > 1.5 * five else "The behaviour has changed.")
PYTHON
