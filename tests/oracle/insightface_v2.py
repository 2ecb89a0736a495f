"""Run in the oracle's environment: what insightface says of photos with a pack of version 2.

Usage: insightface_v2.py PACK_DIR OUT.npz IMAGE…
"""

import sys

import cv2
import numpy as np
from insightface.app import FaceAnalysis
from quiet import let_threads_sleep

let_threads_sleep()

pack, out, *images = sys.argv[1:]
analysis = FaceAnalysis(name=pack, providers=["CPUExecutionProvider"], static_shape_sessions=False)
assert list(analysis.models) == ["detection", "verification", "recognition"]
analysis.prepare(ctx_id=-1)
answers = {}
for index, path in enumerate(images):
    faces = analysis.get(cv2.imread(path))
    answers[f"{index}.bboxes"] = np.array([f.bbox for f in faces], np.float32).reshape(-1, 4)
    answers[f"{index}.scores"] = np.array([f.det_score for f in faces], np.float32)
    answers[f"{index}.landmarks"] = np.array([f.kps for f in faces], np.float32).reshape(-1, 5, 2)
    answers[f"{index}.embeddings"] = np.array([f.normed_embedding for f in faces], np.float32)
    answers[f"{index}.confidences"] = np.array([f.verification_score for f in faces], np.float64)
np.savez(out, **answers)
