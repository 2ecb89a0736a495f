#!/usr/bin/env bash
# A model promises an output of 4 rows, and ONNX Runtime returns 8.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2.
# Behaviour: the shape of an output in the file is not enforced. get_outputs() repeats it, run() returns what the
# operators made, and a warning goes to stderr, once a run. Official SCRFD exports are of this kind: their shapes
# hold for one size of picture only. onnx.checker with full_check accepts the model, as the shape cannot be inferred.
# Guess: run() raises, since the input is valid and the output contradicts the model.
# Seen:
#   2 values that are not zero: promised [4, 1], returned (2, 1)
#   8 values that are not zero: promised [4, 1], returned (8, 1)
#   and on stderr: Expected shape from model of {4,1} does not match actual shape of {8,1} for output y
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$scratch"
venv/bin/python - <<'PYTHON'
import os
import sys

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

graph = helper.make_graph(
    [helper.make_node("NonZero", ["x"], ["places"]), helper.make_node("Transpose", ["places"], ["y"])],
    "graph",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [8])],
    [helper.make_tensor_value_info("y", TensorProto.INT64, [4, 1])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.checker.check_model(model, full_check=True)
session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
promised = session.get_outputs()[0].shape
returned = []
for count in (2, 8):
    x = np.zeros(8, np.float32)
    x[:count] = 1
    returned.append(session.run(None, {"x": x})[0].shape)
    print(f"{count} values that are not zero: promised {promised}, returned {returned[-1]}")
sys.exit(0 if promised == [4, 1] and returned == [(2, 1), (8, 1)] else "The behaviour has changed.")
PYTHON
