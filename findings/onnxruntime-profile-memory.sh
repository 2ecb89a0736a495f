#!/usr/bin/env bash
# A session that was profiled once takes more memory with every later run, though the profile has ended.
#
# Versions: onnxruntime 1.32.0.
# Behaviour: with enable_profiling the session's thread pool notes every parallel section. end_profiling() writes the
# file and ends the profile of the session, but the pool goes on noting, 8 bytes a section, for as long as the session
# lives. On one thread (intra_op_num_threads=1) there is no pool and nothing to note.
# Guess: after end_profiling() a session costs what one costs that was never profiled.
# Seen, memory taken by 3,000 runs of 100 matrix products on 2 threads, after 100 runs to settle (some tens of KB more or less):
#   never profiled: 4 KB
#   profiled once, ended: 2476 KB
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$scratch"
cat >measure.py <<'PYTHON'
import os
import subprocess
import sys
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

PRODUCTS, SIDE, RUNS = 100, 64, 3000


def model():
    names = ["x", *(f"t{i}" for i in range(PRODUCTS))]
    graph = helper.make_graph(
        [helper.make_node("MatMul", [a, "x"], [b]) for a, b in zip(names, names[1:])],
        "graph",
        [helper.make_tensor_value_info(names[0], TensorProto.FLOAT, [SIDE, SIDE])],
        [helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, [SIDE, SIDE])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def resident_kb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


def growth(profiled):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    options.enable_profiling = profiled
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(model(), options, providers=["CPUExecutionProvider"])
    x = {"x": np.zeros((SIDE, SIDE), np.float32)}
    session.run(None, x)
    if profiled:
        session.end_profiling()
    for _ in range(100):
        session.run(None, x)
    before = resident_kb()
    for _ in range(RUNS):
        session.run(None, x)
    return resident_kb() - before


if len(sys.argv) == 2:  # a process for each measurement: neither takes what the other has freed
    print(growth(sys.argv[1] == "profiled"))
    sys.exit()
plain, profiled = (
    int(subprocess.run([sys.executable, __file__, name], check=True, stdout=subprocess.PIPE).stdout)
    for name in ("plain", "profiled")
)
print(f"never profiled: {plain} KB")
print(f"profiled once, ended: {profiled} KB")
sys.exit(0 if profiled > 1000 and plain < 300 else "The behaviour has changed.")
PYTHON
venv/bin/python measure.py
