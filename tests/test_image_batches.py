"""Images that a card is given together: the faces of each are those it has alone, on the
processor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from face_service.engine_factory.builder import Canvases, build_engine
from face_service.face_engine import FaceEngine, Options, PreparedImage, finish
from face_service.observability.timing import StageTimes
from face_service.packs.local import load_folder
from face_service.packs.pack import Pack
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.vision.blob import Image
from face_service.vision.canvas import allowed_canvases
from face_service.vision.detector import CLOSEUP
from face_service.vision.known import KnownFace
from tests import accelerated

CUDA = "CUDAExecutionProvider"
CANVASES = Canvases(allowed_canvases(320), CLOSEUP)


@pytest.fixture(scope="module", params=["det_500m", "open"])
def engines(
    request: pytest.FixtureRequest, with_edgeface: Callable[[str], Path], open_pack: Pack
) -> Iterator[tuple[FaceEngine, FaceEngine]]:
    """The same pack on the processor, and on a card that is this processor."""
    pack = open_pack if request.param == "open" else load_folder(with_edgeface(request.param))
    ours = build_engine(pack, CANVASES, (CPU,), threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxruntime, "InferenceSession", accelerated.Session)
        memory = "ortvalue_from_shape_and_type"
        patch.setattr(onnxruntime.OrtValue, memory, accelerated.in_memory)
        theirs = build_engine(pack, CANVASES, (CUDA,), config=RuntimeConfig(threads=1))
        yield ours, theirs


@pytest.fixture(scope="module")
def images(four_faces: Path) -> list[Image]:
    """Wide, upright, square, empty, and one too narrow to be seen."""
    photo = cv2.imread(str(four_faces))
    upright = np.ascontiguousarray(photo[:, :250])
    square = np.ascontiguousarray(photo[:300, 200:500])
    return [
        photo,
        upright,
        cv2.flip(photo, 1),
        square,
        np.zeros((90, 160, 3), np.uint8),
        np.zeros((1, 2000, 3), np.uint8),
        np.ascontiguousarray(photo[20:]),
    ]


def test_the_faces_of_each_image_are_those_it_has_alone(
    engines: tuple[FaceEngine, FaceEngine], images: list[Image]
) -> None:
    processor, card = engines
    prepared = [
        PreparedImage(image, card.preprocessor.preprocess(image), Options(min_score=0.4 + n / 20))
        for n, image in enumerate(images)
    ]
    shown: list[tuple[int, ...]] = []
    card.networks[0].observer = lambda blob: shown.append((*blob.shape, blob.dtype.name))
    together = finish(card.detect_together(prepared, StageTimes()))
    assert sorted(shown) == [
        # The close-up of all but the one that cannot be seen, filled up to eight; then by canvas.
        (1, 320, 256, 3, "uint8"), (1, 320, 320, 3, "uint8"), (4, 192, 320, 3, "uint8"),
        (8, 128, 128, 3, "uint8"),
    ]  # fmt: skip
    for image, one, found in zip(images, prepared, together, strict=True):
        inputs = processor.preprocessor.preprocess(image)
        alone = finish(processor.detect(one._replace(inputs=inputs), StageTimes()))
        assert len(found.faces) == len(alone.faces)
        for face, right in zip(found.faces, alone.faces, strict=True):
            np.testing.assert_allclose(face.bbox, right.bbox, atol=0.01)
            np.testing.assert_allclose(face.landmarks, right.landmarks, atol=0.01)
            assert face.score == pytest.approx(right.score, abs=1e-4)
    assert [len(found.faces) for found in together][4:6] == [0, 0]
    assert sum(len(found.faces) for found in together) > 8


def test_known_faces_are_found_among_images_that_are_given_together(
    engines: tuple[FaceEngine, FaceEngine], images: list[Image]
) -> None:
    processor, card = engines
    photo = images[0]
    inputs = card.preprocessor.preprocess
    first, *_, last = processor.analyse_image(photo)
    at, within = KnownFace(landmarks=first.landmarks), KnownFace(bbox=last.bbox)
    prepared = [
        PreparedImage(photo, [], Options(), [at]),
        PreparedImage(photo, inputs(photo), Options(), [within, at]),
        PreparedImage(photo, inputs(photo), Options()),
    ]
    together = finish(card.detect_together(prepared, StageTimes()))
    assert [len(found.faces) for found in together] == [1, 2, 4]
    np.testing.assert_array_equal(together[0].faces[0].landmarks, first.landmarks)
    boxed, placed = together[1].faces
    np.testing.assert_allclose(boxed.landmarks, last.landmarks, atol=0.01)
    np.testing.assert_array_equal(placed.landmarks, first.landmarks)


def test_faces_are_described_as_on_the_processor(
    engines: tuple[FaceEngine, FaceEngine], images: list[Image]
) -> None:
    ours, theirs = (engine.analyse_image(images[0]) for engine in engines)
    assert len(ours) == len(theirs) == 4
    for face, right in zip(theirs, ours, strict=True):
        assert face.embedding is not None
        assert right.embedding is not None
        assert float(face.embedding @ right.embedding) > 0.99999
        assert (face.age, face.gender) == (right.age, right.gender)


def test_a_card_is_warm_for_every_number_of_images(
    engines: tuple[FaceEngine, FaceEngine],
) -> None:
    _, card = engines
    shown: set[tuple[int, ...]] = set()
    card.networks[0].observer = lambda blob: shown.add(blob.shape)
    card.warm_up()
    sizes = {(size.height, size.width) for size in (*CANVASES.allowed, CLOSEUP)}
    assert shown == {(rows, *size, 3) for rows in (1, 2, 4, 8) for size in sizes}


def test_pixels_need_a_quarter_of_the_memory(engines: tuple[FaceEngine, FaceEngine]) -> None:
    processor, card = engines
    assert card.preprocessor.max_bytes * 4 == processor.preprocessor.max_bytes
