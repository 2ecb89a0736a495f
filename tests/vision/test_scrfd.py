"""SCRFD: decoding, suppression, odd canvases. Equality with InsightFace: tests/test_parity.py."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from face_service.vision.canvas import Size, allowed_canvases, fit, letterbox, smallest
from face_service.vision.detections import IOU_THRESHOLD, Detections, by_score, suppress
from face_service.vision.detector import MAX_CANDIDATES, STRIDES
from face_service.vision.scrfd import ANCHORS_PER_CELL, anchor_centers, decode_scrfd

SIZE = Size(64, 96)


def empty_outputs() -> list[np.ndarray]:
    width, height = SIZE
    rows = [(width // s) * (height // s) * ANCHORS_PER_CELL for s in STRIDES]
    return [np.zeros((n, c), np.float32) for c in (1, 4, 10) for n in rows]


def test_a_distance_from_an_anchor_becomes_a_box() -> None:
    outputs = empty_outputs()
    row = (3 * (SIZE[0] // 16) + 2) * ANCHORS_PER_CELL + 1  # stride 16, cell x 2, y 3
    outputs[1][row] = 0.75
    outputs[4][row] = [1, 0.5, 1.5, 2]
    outputs[7][row] = np.arange(10) / 10

    found = decode_scrfd(outputs, SIZE, 0.5, scale=0.5)

    assert found.scores.tolist() == [0.75]
    assert found.bboxes.tolist() == [[32.0, 80.0, 112.0, 160.0]]
    assert found.landmarks[0, 1].tolist() == pytest.approx([(32 + 3.2) * 2, (48 + 4.8) * 2])
    assert {found.bboxes.dtype, found.scores.dtype, found.landmarks.dtype} == {np.dtype("f4")}


def test_outputs_with_and_without_a_batch_axis_mean_the_same() -> None:
    random = np.random.default_rng(0)
    flat = [random.random(output.shape, np.float32) for output in empty_outputs()]
    batched = [output[None] for output in flat]
    one, other = (decode_scrfd(outputs, SIZE, 0.5, 1.0) for outputs in (flat, batched))
    assert np.array_equal(one.bboxes, other.bboxes)
    assert np.array_equal(one.landmarks, other.landmarks)


def test_scores_at_the_threshold_are_kept_and_equal_ones_keep_their_order() -> None:
    outputs = empty_outputs()
    outputs[0][[4, 9, 2], 0] = [0.5, 0.5, 0.49999997]
    found = decode_scrfd(outputs, SIZE, 0.5, 1.0)
    centers = anchor_centers(*SIZE, 8)
    assert found.bboxes[:, :2].tolist() == [centers[4].tolist(), centers[9].tolist()]


def test_a_score_of_nought_does_not_send_every_anchor_into_suppression() -> None:
    rows = [(640 // s) ** 2 * ANCHORS_PER_CELL for s in STRIDES]
    outputs = [np.zeros((n, c), np.float32) for c in (1, 4, 10) for n in rows]
    outputs[2][-1] = 0.9
    found = decode_scrfd(outputs, Size(640, 640), 0.0, 1.0)
    assert len(found) == MAX_CANDIDATES
    assert found.scores[0] == np.float32(0.9)


def naive_nms(boxes: np.ndarray) -> list[int]:
    """The definition, box by box, in Python's floats."""
    keep: list[int] = []
    for i, a in enumerate(boxes.tolist()):
        for j in keep:
            b = boxes[j].tolist()
            w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
            h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
            area = [(x[2] - x[0] + 1) * (x[3] - x[1] + 1) for x in (a, b)]
            if w * h / (area[0] + area[1] - w * h) > IOU_THRESHOLD:
                break
        else:
            keep.append(i)
    return keep


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(0, 30)] * 2), max_size=25))
def test_suppression_equals_its_definition(corners: list[tuple[int, ...]]) -> None:
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in corners], np.float32).reshape(-1, 4)
    count = len(boxes)
    scores = np.linspace(1, 0.5, count, dtype=np.float32)
    kept = suppress(Detections(boxes, scores, np.zeros((count, 5, 2), np.float32)))
    assert kept.scores.tolist() == scores[naive_nms(boxes)].tolist()


def test_sorting_is_stable() -> None:
    assert by_score(np.array([0.5, 0.9, 0.5, 0.9], np.float32)).tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (1080, 1920, (640, 360)),
        (1920, 1080, (360, 640)),
        (333, 1000, (640, 213)),
        (9, 9, (640, 640)),
    ],
)
def test_images_fit_the_canvas_as_insightface_rounds(
    height: int, width: int, expected: tuple[int, int]
) -> None:
    assert fit(np.zeros((height, width, 3), np.uint8), Size(640, 640)) == expected


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (1080, 1920, (640, 384)),
        (1920, 1080, (384, 640)),
        (768, 1024, (640, 480)),
        (1024, 768, (480, 640)),
        (500, 500, (640, 640)),
        (700, 720, (640, 640)),
        (100, 2000, (640, 384)),
    ],
)
def test_the_smallest_canvas_that_does_an_image_justice(
    height: int, width: int, expected: tuple[int, int]
) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    assert smallest(image, allowed_canvases(640)) == expected


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([64, 320, 640, 1024]))
def test_a_canvas_never_shrinks_an_image_further(height: int, width: int, side: int) -> None:
    allowed = allowed_canvases(side)
    image = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (height, width, 3), (0, 0, 0))
    chosen = smallest(image, allowed)
    assert chosen in allowed
    assert all(value % 32 == 0 for value in chosen)
    assert fit(image, chosen) == fit(image, Size(side, side))


@pytest.mark.parametrize("shape", [(1, 2000, 3), (2000, 1, 3)])
def test_an_image_whose_side_would_vanish_has_no_canvas(shape: tuple[int, int, int]) -> None:
    assert letterbox(np.zeros(shape, np.uint8), Size(640, 640)) is None


def test_the_rest_of_the_canvas_is_black() -> None:
    canvas = letterbox(np.full((50, 100, 3), 200, np.uint8), Size(64, 64))
    assert canvas is not None
    assert canvas.scale == 32 / 50
    assert (canvas.pixels[:32] == 200).all()
    assert not canvas.pixels[32:].any()
