"""Networks that people bring: refused by their name, or recognised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from face_service.errors import PackError
from face_service.packs.local import load_folder
from tests import raccoon
from tests.packs.manifests import write_manifest

IMAGE = {"images": (1, 3, 640, 640)}


FACE = {"x": (None, 3, 112, 112)}


BROUGHT: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "SCRFD without landmarks": (
        IMAGE, {f"o{n}": (None, axis) for n, axis in enumerate((1, 1, 1, 4, 4, 4))},
        "6 outputs: a detector without landmarks cannot align faces",
    ),
    "SCRFD of five strides": (
        IMAGE, {f"o{n}": (None, axis) for n, axis in enumerate((1,) * 5 + (4,) * 5 + (10,) * 5)},
        "15 outputs: SCRFD of five strides is not decoded here",
    ),
    "YOLOv5-face": (IMAGE, {"o": (1, 25200, 16)}, "YOLOv5-face is not decoded here; take an SCRFD"),
    "YOLOv7-face": (IMAGE, {"o": (1, 25200, 21)}, "YOLOv7-face is not decoded here"),
    "YOLOv8-face": (IMAGE, {"o": (1, 20, 8400)}, "YOLOv8-face is not decoded here"),
    "YOLOv8-face of any size": (
        {"images": (None, 3, None, None)}, {"o": (None, 20, None)},
        "YOLOv8-face is not decoded here",
    ),
    "its heads": (
        IMAGE, {f"o{n}": (1, 80, side, side) for n, side in enumerate((80, 40, 20))},
        "YOLO-face, the heads of three strides",
    ),
    "YOLO without landmarks": (IMAGE, {"o": (1, 5, 8400)}, "YOLO with boxes alone: a detector"),
    "RetinaFace": (
        IMAGE, {"loc": (1, 16800, 4), "conf": (1, 16800, 2), "landms": (1, 16800, 10)},
        "RetinaFace is not decoded here",
    ),
    "YuNet of 2022": (
        {"input": (1, 3, 120, 160)},
        {"loc": (None, 14), "conf": (None, 2), "iou": (None, 1)},
        "YuNet of 2022 is not decoded here; take face_detection_yunet_2023mar",
    ),
    "CenterFace": (
        IMAGE, {f"o{n}": (1, axis, 160, 160) for n, axis in enumerate((1, 2, 2, 10))},
        "CenterFace is not decoded here",
    ),
    "cheetah's detector of people": (
        {"image": (1, 3, 320, 320), "scale_factor": (1, 2)},
        {"nms_pre_boxes": (1, None, 4), "nms_pre_scores": (1, 1, None)},
        "PaddleDetection, such as the people of cheetah, is not decoded here",
    ),
    "UltraFace": (
        {"input": (1, 3, 240, 320)}, {"scores": (1, 4420, 2), "boxes": (1, 4420, 4)},
        "boxes and scores alone: a detector without landmarks",
    ),
    "FaceNet": ({"x": (None, 160, 160, 3)}, {"e": (None, 512)}, "its channels come last"),
    "FaceNet, channels first": (
        {"x": (1, 3, 160, 160)}, {"e": (1, 512)}, "a recogniser of 160×160 pixels",
    ),
    "112 by 96": ({"x": (1, 3, 112, 96)}, {"e": (1, 256)}, "a recogniser of 96×112 pixels"),
    "a short embedding": (FACE, {"e": (None, 64)}, "64 numbers for a face"),
    "AdaFace with its norm": (
        FACE, {"e": (None, 512), "norm": (None, 1)},
        "an embedding and its norm, as AdaFace gives them: export the embedding alone",
    ),
    "cheetah's bodies": (
        {"data": (1, 3, 256, 128)}, {"e": (1, 256)}, "a recogniser of 128×256 pixels",
    ),
    "an embedding on four axes": (
        FACE, {"e": (None, 512, 1, 1)}, "an embedding on four axes: export it as one row",
    ),
    "inswapper": (
        {"target": (1, 3, 128, 128), "source": (1, 512)}, {"output": (1, 3, 128, 128)},
        "two inputs: a network that exchanges faces",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROUGHT)
def test_what_people_bring_is_refused_by_its_name(name: str, folder: Path, make: Any) -> None:
    """Left aside in a folder that lacks what it was brought for; an error where a manifest lists
    it."""
    inputs, outputs, why = BROUGHT[name]
    missing = "rec.onnx" if next(iter(outputs)) == "e" else "det.onnx"
    (folder / missing).write_bytes(make.onnx(inputs, outputs))
    role = {"det.onnx": "detection", "rec.onnx": "recognition"}[missing]
    with pytest.raises(PackError, match=f"(?s)no {role} network.*{missing}: {why}"):
        load_folder(folder)
    write_manifest(folder)
    with pytest.raises(PackError, match=f"(?s)cannot be the {role} network: .*{why}"):
        load_folder(folder)


@pytest.mark.parametrize("length", [128, 256, 512])
@pytest.mark.parametrize("sides", [(112, 112), (None, None), ("h", "w")])
def test_recognisers_of_other_lengths_and_free_sides_are_recognised(
    length: int, sides: tuple[Any, Any], folder: Path, make: Any
) -> None:
    recogniser = make.onnx({"x": ("n", 3, *sides)}, {"e": ("n", length)})
    (folder / "rec.onnx").write_bytes(recogniser)
    assert load_folder(folder).dimension == length


def test_half_precision_at_the_ends_is_refused_by_its_name(folder: Path) -> None:
    """ONNX Runtime would say so at the first face."""
    nodes = [
        helper.make_node("Cast", ["x"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["c"], ["y"]),
    ]
    given = [("x", TensorProto.FLOAT16, ["n", 3, 112, 112])]
    raccoon.save(nodes, {}, folder / "rec.onnx", given, [("y", ["n", 512])])
    with pytest.raises(PackError, match=r"rec\.onnx: takes or gives others than float32"):
        load_folder(folder)
    write_manifest(folder)
    with pytest.raises(PackError, match=r"cannot be the recognition network: .*than float32"):
        load_folder(folder)
