#!/usr/bin/env bash
# Weights in a file beside the graph are mapped, and every session of ONNX Runtime holds a copy of some all the same.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2, Linux, x86-64.
# Behaviour: a saved graph with external initialisers is opened by mapping them, without copying. A matrix that a
# kernel wants in another order is arranged at the opening of each session, in memory of its own, which is as large as
# the matrix; unless the graph was saved with session.save_external_prepacked_constant_initializers, an entry that
# only matters when saving: then what is arranged is in the file as well, and is mapped.
# Guess: the second session of a mapped network holds next to nothing of its own.
# Seen (memory that each further session holds alone, for a matrix of 51 MB):
#   50 MB, saved without the entry
#   0 MB, saved with the entry
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$scratch"
ORT_DISABLE_TELEMETRY=1 venv/bin/python - <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

rows, columns = 25088, 512
weights = np.random.default_rng(0).standard_normal((rows, columns), np.float32)
graph = helper.make_graph(
    [helper.make_node("Gemm", ["x", "w"], ["y"])],
    "graph",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, rows])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, columns])],
    [numpy_helper.from_array(weights, "w")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.save(model, "network.onnx")


def own_megabytes():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1000


def open_session(path, level, **entries):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = level
    saved = entries.pop("saved", None)
    if saved:
        options.optimized_model_filepath = saved
    for key, value in entries.items():
        options.add_session_config_entry(f"session.{key}", value)
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def each_further_session(name, prepacked):
    open_session(
        "network.onnx",
        ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
        saved=f"{name}.onnx",
        optimized_model_external_initializers_file_name=f"{name}.bin",
        optimized_model_external_initializers_min_size_in_bytes="1024",
        save_external_prepacked_constant_initializers=prepacked,
    )
    level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    sessions = [open_session(f"{name}.onnx", level)]
    before = own_megabytes()
    sessions += [open_session(f"{name}.onnx", level) for _ in range(3)]
    return (own_megabytes() - before) / 3


without = each_further_session("without", "0")
print(f"{without:.0f} MB, saved without the entry")
packed = each_further_session("packed", "1")
print(f"{packed:.0f} MB, saved with the entry")
sys.exit(0 if without > 45 and packed < 6 else "The behaviour has changed.")
PYTHON
