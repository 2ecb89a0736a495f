#!/usr/bin/env bash
# A face that insightface's verifier gives a probability of 0 is returned, with an embedding.
#
# Versions: insightface 2.1, onnxruntime 1.32.0.
# Behaviour: packages of version 2 (raccoon_s, raccoon_l) have a task `verification`, a second network that tells faces from
# what is none. FaceAnalysis runs it on every box and writes verification_score on the face; no threshold is read
# from the manifest, nothing is dropped, and recognition runs as for any face. Its liveness add-on, in the same
# loop, does keep a face from being embedded.
# Guess: what the verifier refuses is not among the answers, or at least has no embedding.
# Seen:
#   1 face, verification_score 0.0, embedding of 3 numbers
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check insightface==2.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$scratch"
venv/bin/python - <<'PYTHON'
import json
import os
import sys
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy as np
import onnx
from insightface.app import FaceAnalysis
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
pack = Path("pack").absolute()
pack.mkdir()


def save(name, nodes, axes, outputs, weights=()):
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("x", FLOAT, axes)],
        [helper.make_tensor_value_info(each, FLOAT, shape) for each, shape in outputs], list(weights),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, pack / f"{name}.onnx")


# A detector of 64x64 that sees one face wherever it looks: SCRFD's nine outputs, all of them constant.
nodes, outputs = [], []
for columns in (1, 4, 10):
    for stride in (8, 16, 32):
        rows = (64 // stride) ** 2 * 2
        value = np.zeros((rows, columns), np.float32)
        if stride == 8 and columns == 1:
            value[72] = 0.9
        elif columns == 4:
            value[:] = 2
        elif columns == 10:
            value[:] = [-1, -1, 1, -1, 0, 0, -1, 1, 1, 1]
        name = f"o{len(outputs)}"
        nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value)))
        outputs.append((name, [rows, columns]))
save("det", nodes, [1, 3, 64, 64], outputs)
save("ver", [helper.make_node("ReduceMean", ["x"], ["m"], axes=[1, 2, 3], keepdims=0),
             helper.make_node("Mul", ["m", "nought"], ["y"])],
     ["n", 3, 32, 32], [("y", ["n"])], [numpy_helper.from_array(np.float32(0), "nought")])
save("rec", [helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)], ["n", 3, 112, 112], [("y", ["n", 3])])
(pack / "MODEL.LICENSE").write_text("")
(pack / "manifest.json").write_text(json.dumps({
    "manifest_version": 2, "model_id": "pack", "license": "MODEL.LICENSE",
    "tasks": {"detection": {"file": "det.onnx"}, "verification": {"file": "ver.onnx"}, "recognition": {"file": "rec.onnx"}},
}))
analysis = FaceAnalysis(name=str(pack), providers=["CPUExecutionProvider"], static_shape_sessions=False)
analysis.prepare(ctx_id=-1)
faces = analysis.get(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))
for face in faces:
    print(f"{len(faces)} face, verification_score {face.verification_score}, embedding of {len(face.embedding)} numbers")
sys.exit(0 if len(faces) == 1 and faces[0].verification_score == 0 and len(faces[0].embedding) else "The behaviour has changed.")
PYTHON
