"""What is chosen from all that the detector found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from face_service.face_engine import FaceEngine, Options, select
from face_service.routes.rendering import render_face
from face_service.schemas import DetectOptions
from face_service.serving.answers import Analysis
from face_service.vision.arcface import ArcFace
from face_service.vision.blob import Image
from face_service.vision.scrfd import Detections

IMAGE = np.zeros((100, 200, 3), np.uint8)


def found(*boxes: tuple[float, float, float, float]) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.linspace(0.9, 0.6, count).astype(np.float32),
        np.zeros((count, 5, 2), np.float32),
    )


@pytest.mark.parametrize(
    "outside",
    [
        pytest.param((10, 101, 60, 140), id="below the image"),
        pytest.param((-60, 10, -5, 60), id="left of it"),
        pytest.param((50, 20, 40, 60), id="inside out"),
    ],
)
def test_a_box_with_nothing_inside_the_image_is_no_face(
    outside: tuple[float, float, float, float],
) -> None:
    inside, cut = (10, 10, 60, 70), (150, 80, 260, 190)
    chosen = select(found(inside, outside, cut), IMAGE, Options())
    assert chosen.bboxes.tolist() == [list(inside), list(cut)]


def test_the_size_filter_measures_what_is_inside_and_comes_before_the_count() -> None:
    boxes = found((0, 0, 50, 50), (170, 10, 260, 90), (60, 0, 120, 45))
    chosen = select(boxes, IMAGE, Options(min_face_size=40, max_faces=2))
    assert chosen.bboxes[:, 0].tolist() == [0, 60]


def test_what_is_left_out_is_not_embedded(
    engine: FaceEngine, six_faces_image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded: list[int] = []
    embed = ArcFace.embed

    def counted(recogniser: ArcFace, crops: Sequence[Image]) -> NDArray[np.float32]:
        embedded.append(len(crops))
        return embed(recogniser, crops)

    monkeypatch.setattr(ArcFace, "embed", counted)
    for options in (
        Options(),
        Options(max_faces=2),
        Options(min_score=1),
        Options(min_face_size=10_000),
        Options(embeddings=False),
    ):
        engine.faces_of(six_faces_image, options)
    assert embedded == [6, 2]


class CoincidingLandmarks:
    """A detector whose one face has all five landmarks in one place."""

    def prepare(self, image: Image) -> list[Image]:
        return [image]

    def detect(self, views: list[Image], min_score: float) -> Detections:
        return replace(found((20, 10, 80, 90)), landmarks=np.full((1, 5, 2), 50, np.float32))


def test_a_face_that_cannot_be_aligned_is_not_usable_and_has_no_quality(
    engine: FaceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_detector", CoincidingLandmarks())
    (face,) = engine.faces_of(IMAGE)
    assert (face.embedding, face.quality, face.usable) == (None, None, False)
    analysis = Analysis(engine.info, [face], 200, 100)
    wire = render_face(face, analysis, DetectOptions())
    assert wire["error"] == "landmarks are degenerate"
    assert (wire["quality"], wire["usable"], list(wire["reasons"])) == (None, False, [])
    unasked = render_face(face, analysis, DetectOptions(quality=False))
    assert (unasked["quality"], unasked["usable"], unasked["reasons"]) == (None, None, None)
