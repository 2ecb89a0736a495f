"""YuNet: what a cell means, and the same faces as OpenCV's own decoder finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from face_service.packs.pack import Pack
from face_service.tools.photos import read_photo
from face_service.vision.canvas import Size
from face_service.vision.detector import MAX_CANDIDATES, STRIDES
from face_service.vision.yunet import decode_yunet
from tests.yunet import agreement, parts

SIZE = Size(64, 96)


def empty_outputs(size: Size = SIZE) -> list[np.ndarray]:
    rows = [(size.width // s) * (size.height // s) for s in STRIDES]
    return [np.zeros((1, n, c), np.float32) for c in (1, 1, 4, 10) for n in rows]


def put(outputs: list[np.ndarray], row: int, score: float, box: list[float]) -> None:
    """A face in a cell of stride 16, whose class and object are as likely."""
    outputs[1][0, row] = outputs[4][0, row] = score
    outputs[7][0, row] = box
    outputs[10][0, row] = np.arange(10) / 10


def test_a_cell_becomes_a_box() -> None:
    outputs = empty_outputs()
    put(outputs, 3 * (SIZE.width // 16) + 2, 0.75, [0.5, 0.25, np.log(2), np.log(3)])

    found = decode_yunet(outputs, SIZE, 0.5, scale=0.5)

    assert found.scores.tolist() == [0.75]
    # Centre (2.5, 3.25), sides (2, 3) strides of 16, on an image twice as large.
    assert found.bboxes[0].tolist() == pytest.approx([48, 56, 112, 152])
    assert found.landmarks[0, 1].tolist() == pytest.approx([(2.2 * 16) * 2, (3.3 * 16) * 2])
    assert {found.bboxes.dtype, found.scores.dtype, found.landmarks.dtype} == {np.dtype("f4")}


def test_a_score_is_of_class_and_object_together() -> None:
    outputs = empty_outputs()
    put(outputs, 0, 1.5, [0, 0, 0, 0])  # more than certain is certain
    outputs[4][0, 0] = 0.25
    assert decode_yunet(outputs, SIZE, 0.5, 1.0).scores.tolist() == [0.5]
    assert len(decode_yunet(outputs, SIZE, 0.51, 1.0)) == 0


def test_the_better_of_two_boxes_that_overlap_stays() -> None:
    outputs = empty_outputs()
    put(outputs, 0, 0.6, [0.5, 0.5, np.log(2), np.log(2)])
    put(outputs, 1, 0.9, [-0.4, 0.5, np.log(2), np.log(2)])
    put(outputs, 8, 0.7, [0.5, 0.5, np.log(2), np.log(2)])
    assert decode_yunet(outputs, SIZE, 0.5, 1.0).scores.tolist() == pytest.approx([0.9, 0.7])


def test_a_score_of_nought_is_bounded() -> None:
    outputs = empty_outputs(Size(640, 640))
    for output in outputs[:6]:
        output += 1e-3
    assert 0 < len(decode_yunet(outputs, Size(640, 640), 0.0, 1.0)) <= MAX_CANDIDATES


@pytest.mark.parametrize("size", [Size(640, 640), Size(320, 192), Size(128, 128)])
def test_faces_are_those_of_opencv(
    open_pack: Pack, six_faces: Path, four_faces: Path, size: Size
) -> None:
    """`python -m tests.yunet` does so with 300 photos."""
    photos = [read_photo(six_faces), read_photo(four_faces)]
    total = agreement(open_pack, [*photos, *parts(photos[0], 4)], size)
    assert total.holds, total
    assert total.faces >= (20 if size.width == 640 else 4)


def test_the_export_with_free_sides_is_the_same_network(
    open_pack: Pack, shared: Path, tmp_path: Path, four_faces: Path
) -> None:
    from face_service.packs.local import load_folder

    for model in open_pack.models.values():
        if model.role != "detection":
            (tmp_path / model.path.name).symlink_to(model.path)
    (tmp_path / "det.onnx").symlink_to(shared / "models" / "yunet_2026may.onnx")
    total = agreement(load_folder(tmp_path), [read_photo(four_faces)], Size(320, 192))
    assert total.holds, total
    assert total.faces == 4
