#!/usr/bin/env bash
# OpenVINO in ONNX Runtime computes fp32 for a precision that does not exist, and says nothing.
#
# Versions: onnxruntime-openvino 1.24.1.
# Behaviour: a value of INFERENCE_PRECISION_HINT that OpenVINO does not know is dropped by the execution provider: the
# session opens, lists OpenVINO, and gives the results of f32 bit for bit. A property that OpenVINO does not know raises
# an error, and an option that the provider does not know sends the session to the CPU provider, with a note on stdout.
# Guess: all three raise an error.
# Seen, and between the last two lines the note of ONNX Runtime, from EP Error to Falling back to ['CPUExecutionProvider']:
#   INFERENCE_PRECISION_HINT f99: opened on OpenVINOExecutionProvider, equal to f32: True
#   property NO_SUCH_PROPERTY: Fail
#   option no_such_option: opened on CPUExecutionProvider
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check onnxruntime-openvino==1.24.1 onnx==1.23.2 numpy==2.4.6
cd "$scratch"
venv/bin/python - <<'PYTHON'
import json
import sys

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

ort.set_default_logger_severity(4)
random = np.random.default_rng(0)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["y"])],
    "graph",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 64])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 64])],
    [numpy_helper.from_array(random.standard_normal((64, 64), dtype=np.float32), "w")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
x = {"x": random.standard_normal((4, 64), dtype=np.float32)}


def open_session(properties, **options):
    options |= {"device_type": "CPU", "load_config": json.dumps({"CPU": properties})}
    return ort.InferenceSession(model, providers=[("OpenVINOExecutionProvider", options)])


single = open_session({"INFERENCE_PRECISION_HINT": "f32"}).run(None, x)[0]
session = open_session({"INFERENCE_PRECISION_HINT": "f99"})
first = session.get_providers()[0]
equal = bool(np.array_equal(session.run(None, x)[0], single))
print(f"INFERENCE_PRECISION_HINT f99: opened on {first}, equal to f32: {equal}")
try:
    unknown = f"opened on {open_session({'NO_SUCH_PROPERTY': '1'}).get_providers()[0]}"
except Exception as refused:
    unknown = type(refused).__name__
print("property NO_SUCH_PROPERTY:", unknown)
fallback = open_session({}, no_such_option="1").get_providers()[0]
print("option no_such_option: opened on", fallback)
expected = (first, equal, unknown, fallback) == ("OpenVINOExecutionProvider", True, "Fail", "CPUExecutionProvider")
sys.exit(0 if expected else "The behaviour has changed.")
PYTHON
