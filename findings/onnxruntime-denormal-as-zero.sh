#!/usr/bin/env bash
# ONNX Runtime's session.set_denormal_as_zero does not reach the thread that calls run().
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2, x86-64.
# Behaviour: the entry makes denormal numbers 0 on the session's own threads. The caller's thread, which computes a
# share of the rows, keeps them: with one thread nothing changes, with more a part of the answer is 0 and a part is not.
# Guess: with the entry, every product with a denormal weight is 0, whatever the number of threads.
# Seen (rows that are 0, of 256, least and most of 50 runs; those for four threads may differ):
#   1 thread without the entry: 0 to 0
#   1 thread with the entry: 0 to 0
#   4 threads with the entry: 192 to 192
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$scratch"
ORT_DISABLE_TELEMETRY=1 venv/bin/python - <<'PYTHON'
import sys
import threading

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

SIDE = 256
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["y"])],
    "graph",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [SIDE, SIDE])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [SIDE, SIDE])],
    [numpy_helper.from_array(np.full((SIDE, SIDE), 1e-41, np.float32), "w")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
large = np.full((SIDE, SIDE), 1e30, np.float32)  # times 1e-41: not denormal any more


def zeros(threads, entry):
    """Least and most rows of 0 in 50 runs, called from another thread than the one that loads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    if entry:
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
    providers = ["CPUExecutionProvider"]
    session = ort.InferenceSession(model.SerializeToString(), options, providers=providers)
    found = []

    def run():
        for _ in range(50):
            (answer,) = session.run(None, {"x": large})
            found.append(int((answer == 0).all(axis=1).sum()))

    caller = threading.Thread(target=run)
    caller.start()
    caller.join()
    return min(found), max(found)


seen = {}
for threads, entry in ((1, False), (1, True), (4, True)):
    seen[threads, entry] = least, most = zeros(threads, entry)
    number = "1 thread" if threads == 1 else f"{threads} threads"
    print(f"{number} {'with' if entry else 'without'} the entry: {least} to {most}")
as_described = seen[1, False] == seen[1, True] == (0, 0) and seen[4, True][0] < SIDE and seen[4, True][1] > 0
sys.exit(0 if as_described else "The behaviour has changed.")
PYTHON
