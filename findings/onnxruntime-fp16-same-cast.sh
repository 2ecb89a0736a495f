#!/usr/bin/env bash
# The fp16 converter of ONNX Runtime makes a valid model into one that ONNX Runtime refuses.
#
# Versions: onnxruntime 1.26.0 (the last for CUDA 12; 1.32.0 is mended), onnx 1.23.2.
# Behaviour: convert_float_to_float16 keeps some operators in fp32 (Max and Min among them) and casts what they take
# back to fp32. Where two of them take the same value, it writes the same Cast node, with the same name, twice.
# Guess: the converted model loads; a value that two operators take is cast once, or twice under two names.
# Seen:
#   Cast nodes that make r_cast_to_fp32: 2
#   Fail: [ONNXRuntimeError] : 1 : FAIL : This is an invalid model. Error: two nodes with same node name (r_cast_to_fp32_node).
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check onnxruntime==1.26.0 onnx==1.23.2 numpy==2.4.6 sympy==1.14.0
cd "$scratch"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

graph = helper.make_graph(
    [
        helper.make_node("Relu", ["x"], ["r"], name="relu"),
        helper.make_node("Max", ["r", "zero"], ["a"], name="max"),
        helper.make_node("Min", ["r", "zero"], ["b"], name="min"),
        helper.make_node("Add", ["a", "b"], ["y"], name="add"),
    ],
    "graph",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
    [numpy_helper.from_array(np.zeros(4, np.float32), "zero")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.checker.check_model(model, full_check=True)
ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

half = convert_float_to_float16(model, keep_io_types=True)
casts = sum(list(node.output) == ["r_cast_to_fp32"] for node in half.graph.node)
print("Cast nodes that make r_cast_to_fp32:", casts)
try:
    ort.InferenceSession(half.SerializeToString(), providers=["CPUExecutionProvider"])
    error = "none"
except Exception as refused:
    error = f"{type(refused).__name__}: {refused}"
print(error)
sys.exit(0 if casts == 2 and "two nodes with same node name" in error else "The behaviour has changed.")
PYTHON
