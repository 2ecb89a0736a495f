"""What is chosen from all that the detector found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from face_service import face_engine
from face_service.face_engine import FaceEngine, Options, PreparedImage, finish
from face_service.observability.timing import StageTimes
from face_service.runtime.network import Network
from face_service.runtime.policy import MAX_BATCH
from face_service.schemas import DetectOptions
from face_service.serialization import render_face
from face_service.serving.answers import ImageAnalysis
from face_service.vision.arcface import ArcFace
from face_service.vision.blob import Image
from face_service.vision.detections import Detections
from face_service.vision.filtering import Order, select
from face_service.vision.image import decode
from face_service.vision.scrfd import Scrfd

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
    chosen = select(found(inside, outside, cut), IMAGE, 0, None, 512)
    assert [face.bbox.tolist() for face in chosen.faces] == [list(inside), list(cut)]
    assert chosen.omitted == 0


def test_the_size_filter_measures_what_is_inside_and_comes_before_the_count() -> None:
    boxes = found((0, 0, 50, 50), (170, 10, 260, 90), (60, 0, 120, 45))
    chosen = select(boxes, IMAGE, 40, 2, 512)
    assert [face.bbox[0] for face in chosen.faces] == [0, 60]


@pytest.mark.parametrize(
    ("max_faces", "options", "kept", "omitted"),
    [
        pytest.param(10, Options(), 6, 0, id="fewer than it"),
        pytest.param(6, Options(), 6, 0, id="as many"),
        pytest.param(4, Options(), 4, 2, id="more"),
        pytest.param(4, Options(max_faces=3), 3, 0, id="the caller wants fewer"),
        pytest.param(4, Options(max_faces=5), 4, 1, id="the caller wants more, not all"),
        pytest.param(4, Options(max_faces=90), 4, 2, id="the caller wants all"),
        pytest.param(2, Options(min_face_size=40), 2, 1, id="after the size filter"),
    ],
)
def test_max_faces_keeps_the_best_and_says_how_many_it_cost(
    max_faces: int, options: Options, kept: int, omitted: int
) -> None:
    small, large = (10, 10, 30, 30), (50, 10, 95, 60)
    boxes = found(large, small, large, small, large, small)
    chosen = select(boxes, IMAGE, options.min_face_size, options.max_faces, max_faces)
    assert (len(chosen.faces), chosen.omitted) == (kept, omitted)
    scores = [face.score for face in chosen.faces]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == boxes.scores[0]


@pytest.mark.parametrize(
    ("order", "firsts"),
    [("score", [0, 1, 2]), ("size", [2, 1, 0]), ("center", [1, 2, 0])],
)
def test_the_order_decides_before_the_count(order: Order, firsts: list[int]) -> None:
    """The largest hangs out of the image, where its part inside is the largest still."""
    boxes = found((0, 0, 20, 20), (90, 40, 120, 70), (60, -50, 130, 60))
    chosen = select(boxes, IMAGE, 0, None, 512, order)
    assert [boxes.scores.tolist().index(face.score) for face in chosen.faces] == firsts
    two = select(boxes, IMAGE, 0, 2, 1, order)
    assert ([face.score for face in two.faces], two.omitted) == (
        [boxes.scores[firsts[0]]],
        1,
    )


def test_nothing_is_aligned_or_embedded_beyond_max_faces(
    engine: FaceEngine, six_faces_image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligned: list[int] = []
    monkeypatch.setattr(engine, "max_faces", 4)
    monkeypatch.setattr(face_engine, "align", lambda *_: aligned.append(1))
    faces = engine.analyse_image(six_faces_image, Options(attributes=False))
    assert (len(faces), len(aligned)) == (4, 4)


def test_no_blob_holds_more_than_a_piece(
    engine: FaceEngine, solvay: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """29 faces: a blob of all of them at once would be 4 MB, and of 30,000 4 GB."""
    rows: list[int] = []
    run_batched = Network.run_batched

    def counted(network: Network, blob: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        rows.append(len(blob))
        return run_batched(network, blob)

    monkeypatch.setattr(Network, "run_batched", counted)
    assert len(engine.analyse_image(decode(solvay.read_bytes(), 10**8))) == 29
    assert engine.piece == MAX_BATCH
    assert sorted(set(rows)) == [5, 8]


def test_a_run_of_a_network_is_followed_by_a_pause(
    engine: FaceEngine, solvay: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In which somebody else may have the engine, or the work may end. The pair of networks for
    age and gender, hardly larger than a detector's layer, counts as one."""
    image = decode(solvay.read_bytes(), 10**8)
    times = StageTimes()
    inputs = engine.preprocessor.preprocess(image)
    found = finish(engine.detect(PreparedImage(image, inputs, Options()), times))
    describing = engine.describe(found.faces[:8], Options(), times)
    next(describing)
    assert list(times) == ["detect", "align", "quality", "embed"]
    with pytest.raises(StopIteration) as end:
        next(describing)
    assert len(end.value.value) == 8
    assert engine.runs_per_piece(Options()) == 2
    for options in (Options(attributes=False), Options(embeddings=False)):
        assert engine.runs_per_piece(options) == 1
        with pytest.raises(StopIteration):
            next(engine.describe(found.faces[:8], options, times))
    looks = engine.detect(PreparedImage(image, inputs * 2, Options()), times)
    next(looks)
    with pytest.raises(StopIteration):
        next(looks)


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
        engine.analyse_image(six_faces_image, options)
    assert embedded == [6, 2]


class CoincidingLandmarks(Scrfd):
    """A detector whose one face has all five landmarks in one place."""

    def candidates(self, one: object, min_score: float) -> Detections:
        return replace(found((20, 10, 80, 90)), landmarks=np.full((1, 5, 2), 50, np.float32))


def test_a_face_that_cannot_be_aligned_is_not_usable_and_has_no_quality(
    engine: FaceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = CoincidingLandmarks(engine._detector.network, engine.preprocessor)
    monkeypatch.setattr(engine, "_detector", detector)
    (face,) = engine.analyse_image(IMAGE)
    assert (face.embedding, face.quality, face.usable) == (None, None, False)
    analysis = ImageAnalysis(engine.info, [face], 200, 100)
    wire = render_face(face, analysis, DetectOptions())
    assert wire["error"] == "landmarks are degenerate"
    assert (wire["quality"], wire["usable"], list(wire["reasons"])) == (None, False, [])
    unasked = render_face(face, analysis, DetectOptions(quality=False))
    assert (unasked["quality"], unasked["usable"], unasked["reasons"]) == (None, None, None)
