"""YuNet: the face detector of OpenCV Zoo.

Steps and their order follow `cv::FaceDetectorYN` (modules/objdetect/src/face_detect.cpp of OpenCV
4.14), so that boxes, scores and landmarks equal its own on the same canvas.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .canvas import Size
from .detections import NO_DETECTIONS, Detections, Floats
from .detector import MAX_CANDIDATES, STRIDES, Detector, cells

OUTPUTS = 12
MIN_SCORE = 0.7
"""Below, it takes noise for faces (docs/decisions/0032-open-pack.md)."""
IOU_THRESHOLD = 0.3
"""The default `nms_threshold` of FaceDetectorYN."""


class YuNet(Detector):
    """OpenCV Zoo's detector: twelve outputs, class, objectness, boxes and landmarks at each
    stride."""

    __slots__ = ()
    min_score = MIN_SCORE

    def decode(
        self, outputs: Sequence[Floats], size: Size, min_score: float, scale: float
    ) -> Detections:
        """See `decode_yunet`."""
        return decode_yunet(outputs, size, min_score, scale)


def decode_yunet(
    outputs: Sequence[Floats], size: Size, min_score: float, scale: float
) -> Detections:
    """Turn the twelve outputs for one canvas into candidates by descending score, none of which
    overlaps a better one as `suppressed` has it.

    `outputs`: probabilities of the class and of an object, boxes and landmarks for strides 8, 16,
    32, each [N, C] or [1, N, C], one cell a row; centres and landmarks in strides from the cell,
    sides as logarithms of strides. `scale`: pixels of the canvas for a pixel of the image.
    """
    bboxes, scores, landmarks = [], [], []
    for level, stride in enumerate(STRIDES):
        of_class, of_object, boxes, points = (
            outputs[level + kind * len(STRIDES)] for kind in range(4)
        )
        cell_scores = np.sqrt(of_class.clip(0, 1) * of_object.clip(0, 1)).reshape(-1)
        (found,) = np.nonzero(cell_scores >= min_score)
        if not len(found):
            continue
        at = cells(*size, stride)[found]
        box = boxes.reshape(-1, 4)[found]
        sides = np.exp(box[:, 2:]) * np.float32(stride)
        corners = (at + box[:, :2]) * np.float32(stride) - sides / 2
        scores.append(cell_scores[found])
        bboxes.append(np.hstack((corners, sides)))
        landmarks.append((points.reshape(-1, 5, 2)[found] + at[:, None]) * np.float32(stride))
    if not scores:
        return NO_DETECTIONS
    boxes_of_all, scores_of_all = np.concatenate(bboxes), np.concatenate(scores)
    kept = suppressed(boxes_of_all, scores_of_all)
    corners, sides = boxes_of_all[kept, :2], boxes_of_all[kept, 2:]
    return Detections(
        (np.hstack((corners, corners + sides)) / np.float32(scale)).astype(np.float32),
        scores_of_all[kept],
        (np.concatenate(landmarks)[kept] / np.float32(scale)).astype(np.float32),
    )


def suppressed(boxes: Floats, scores: Floats) -> Sequence[int]:
    """The indices of the boxes that no better one overlaps with IoU > 0.3, by descending score.

    boxes: float32 [n, 4] as x, y, width, height in pixels of the canvas, cut off to whole pixels
    here as by OpenCV. n is at least 1. MAX_CANDIDATES enter, best first.
    """
    whole = boxes.astype(np.int32).tolist()
    return cv2.dnn.NMSBoxes(whole, scores.tolist(), 0.0, IOU_THRESHOLD, top_k=MAX_CANDIDATES)
