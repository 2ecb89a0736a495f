"""Run in the oracle's environment: what insightface says of photos, as one .npz.

Usage: insightface_faces.py PACK_DIR DET_SIZE STATIC OUT.npz IMAGE…

DET_SIZE 0: its Auto mode. STATIC 1, its default: the detector's graph is rewritten for a
fixed canvas, whose sums ONNX Runtime adds up in another order; 0: the file as it is.
"""

import sys

import cv2
import numpy as np
from insightface.app import FaceAnalysis
from quiet import let_threads_sleep

let_threads_sleep()

pack, det_size, static, out, *images = sys.argv[1:]
analysis = FaceAnalysis(
    name=pack,
    allowed_modules=["detection", "recognition", "genderage"],
    providers=["CPUExecutionProvider"],
    static_shape_sessions=static == "1",
)
side = int(det_size)
analysis.prepare(ctx_id=-1, det_size=(side, side) if side else None)
answers = {}
for index, path in enumerate(images):
    faces = analysis.get(cv2.imread(path))
    answers[f"{index}.bboxes"] = np.array([f.bbox for f in faces], np.float32).reshape(-1, 4)
    answers[f"{index}.scores"] = np.array([f.det_score for f in faces], np.float32)
    answers[f"{index}.landmarks"] = np.array([f.kps for f in faces], np.float32).reshape(-1, 5, 2)
    answers[f"{index}.embeddings"] = np.array(
        [f.normed_embedding for f in faces], np.float32
    ).reshape(len(faces), -1)
    answers[f"{index}.ages"] = np.array([f.age for f in faces], np.int64)
    answers[f"{index}.genders"] = np.array([f.sex for f in faces], "U1")
np.savez(out, **answers)
