#!/usr/bin/env bash
# ONNX Runtime's OrtValue made from a NumPy array is that array: update_inplace writes into the caller's data.
#
# Versions: onnxruntime 1.32.0, numpy 2.4.6, the CPU.
# Behaviour: OrtValue.ortvalue_from_numpy(x) on the CPU shares x's memory. update_inplace(y), which fills a buffer that is
# bound to a session for its next run, therefore changes x as well, as does a run whose output is bound to it.
# Guess: the value is a copy, as it is on a card; x stays as it was.
# Seen:
#   the array after update_inplace: [7.0, 7.0, 7.0]
#   the array after a run with its value as bound output: [8.0, 8.0, 8.0]
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$scratch"
ORT_DISABLE_TELEMETRY=1 venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

array = np.zeros(3, np.float32)
value = ort.OrtValue.ortvalue_from_numpy(array)
value.update_inplace(np.full(3, 7, np.float32))
updated = array.tolist()
print("the array after update_inplace:", updated)

one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xy"]
nodes = [helper.make_node("Add", ["x", "one"], ["y"])]
graph = helper.make_graph(nodes, "graph", tensors[:1], tensors[1:], [one])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
output = np.zeros(3, np.float32)
binding = session.io_binding()
binding.bind_ortvalue_input("x", value)
binding.bind_ortvalue_output("y", ort.OrtValue.ortvalue_from_numpy(output))
session.run_with_iobinding(binding)
ran = output.tolist()
print("the array after a run with its value as bound output:", ran)
as_described = updated == [7.0] * 3 and ran == [8.0] * 3
sys.exit(0 if as_described else "The behaviour has changed.")
PYTHON
