"""Networks that are not supported, recognised by inputs and outputs, and why they are not used."""

from __future__ import annotations

from collections.abc import Sequence

from face_service.runtime.graph import FLOAT, UINT8, OnnxHeader

WITHOUT_LANDMARKS = "a detector without landmarks cannot align faces"
TAKE = "take an SCRFD with landmarks, or YuNet"
# Numbers in a row of the output, which is one box.
_YOLO_ROWS = {
    16: "YOLOv5-face",  # box, object, five landmarks, class
    21: "YOLOv7-face",  # box, object, class, five landmarks with visibility
    20: "YOLOv8-face",  # box, class, five landmarks with visibility
    15: "YOLOv8-face",  # box, class, five landmarks
}
_YOLO_BOXES = (5, 6)
"""The same without landmarks: box and class, or box, object and class."""
_YOLO_HEADS = (80, 96)
"""Channels of a head: 16 bins for each side of a box, a class, five landmarks (rounded up)."""
_SMALLEST_EMBEDDING = 128
_ALIGNED = 112  # pixels, the side of an aligned face


def kind_of(header: OnnxHeader) -> str | None:
    """What kind of network this is, and why it is not used; None if it is of no kind known here."""
    shape = header.inputs[0].shape or ()
    outputs = [output.shape or () for output in header.outputs]
    if other_numbers(header):
        return "takes or gives others than float32: keep those when you convert it, as to float16"
    if "scale_factor" in {tensor.name for tensor in header.inputs}:
        return f"PaddleDetection, such as the people of cheetah, is not decoded here; {TAKE}"
    if len(header.inputs) == 2:
        return "two inputs: a network that exchanges faces, not one that describes them"
    if len(shape) == 4 and shape[3] == 3 and shape[1] != 3:
        return "its channels come last: export it for [n, 3, height, width]"
    if shape[2:] == (192, 192):
        return "a landmark network"
    return _detector(outputs) or _recogniser(shape, outputs)


def other_numbers(header: OnnxHeader) -> bool:
    """Whether its input is neither float32 nor uint8, or an output is not float32."""
    given = header.inputs[0].kind not in (FLOAT, UINT8)
    return given or any(output.kind != FLOAT for output in header.outputs)


def _detector(outputs: Sequence[tuple[int | None, ...]]) -> str | None:
    count, last = len(outputs), [shape[-1] if shape else None for shape in outputs]
    if count in (6, 10):
        return f"{count} outputs: {WITHOUT_LANDMARKS}"
    if count == 15:
        return f"15 outputs: SCRFD of five strides is not decoded here; {TAKE}"
    if count == 3 and sorted(filter(None, last)) == [1, 2, 14]:
        return "YuNet of 2022 is not decoded here; take face_detection_yunet_2023mar"
    if [shape[1] for shape in outputs if len(shape) == 4] == [1, 2, 2, 10]:
        return f"CenterFace is not decoded here; {TAKE}"
    if count == 3 and sorted(filter(None, last)) == [2, 4, 10]:
        return f"RetinaFace is not decoded here; {TAKE}"
    if count == 2 and sorted(filter(None, last)) == [2, 4]:
        return f"boxes and scores alone: {WITHOUT_LANDMARKS}"
    if count == 3 and all(len(shape) in (4, 5) for shape in outputs):
        heads = {shape[1] for shape in outputs}
        if heads & {*_YOLO_HEADS, 3}:
            return f"YOLO-face, the heads of three strides, is not decoded here; {TAKE}"
    if count in (1, 4) and len(outputs[0]) == 3:
        for axis in outputs[0][1:]:
            if axis in _YOLO_ROWS:
                return f"{_YOLO_ROWS[axis]} is not decoded here; {TAKE}"
        if any(axis in _YOLO_BOXES for axis in outputs[0][1:]):
            return f"YOLO with boxes alone: {WITHOUT_LANDMARKS}"
    return None


def _recogniser(
    shape: tuple[int | None, ...], outputs: Sequence[tuple[int | None, ...]]
) -> str | None:
    if len(shape) != 4 or not all(outputs):
        return None
    sides, last = shape[2:], [each[-1] for each in outputs]
    if outputs in ([(None,)], [(1,)]) and sides[0] and sides[0] == sides[1]:
        return (
            "one number for each square: that it says whether this is a face, and not whether it "
            "is alive or sharp, only a manifest.json can state"
        )
    if len(outputs) == 2 and (last[0] or 0) >= _SMALLEST_EMBEDDING and last[1] == 1:
        return "an embedding and its norm, as AdaFace gives them: export the embedding alone"
    if len(outputs) == 1 and outputs[0][2:] == (1, 1) and sides == (_ALIGNED, _ALIGNED):
        return "an embedding on four axes: export it as one row for each face"
    if len(outputs) != 1 or len(outputs[0]) != 2:
        return None
    length = last[0]
    if length is None:
        return None
    aligned = sides == (_ALIGNED, _ALIGNED)
    if length >= _SMALLEST_EMBEDDING and None not in sides and not aligned:
        height, width = sides
        return (
            f"a recogniser of {width}×{height} pixels; faces are aligned to {_ALIGNED}×{_ALIGNED}"
        )
    if length < _SMALLEST_EMBEDDING and aligned:
        return f"{length} numbers for a face; an embedding has {_SMALLEST_EMBEDDING} or more"
    return None
