"""How coarsely a JPEG was quantised."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from face_service.face_engine import Face, FaceEngine, PreparedImage
from face_service.observability.timing import StageTimes
from face_service.vision.blob import Image
from face_service.vision.image import decode
from face_service.vision.quality import (
    Quality,
)
from face_service.vision.quantisation import compression, luminance_step
from tests.vision.judging import LOOK


def jpeg(image: Image, **options: object) -> bytes:
    """A JPEG by Pillow, which takes any table."""
    file = io.BytesIO()
    Pillow.fromarray(image[..., ::-1].copy()).save(file, "JPEG", **options)
    return file.getvalue()


def test_small_faces_of_starved_jpegs_are_compressed(
    engine: FaceEngine, portrait: Image, face: Face
) -> None:
    """The table of FFmpeg's frames without -q:v, and what it is with -q:v 2."""

    def judged(side: int, step: int) -> Quality:
        scale = side / float(face.bbox[2] - face.bbox[0])
        image = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        data = jpeg(image, qtables=[[step] * 64, [step] * 64])
        decoded = decode(data, 10**7)
        inputs = engine.preprocessor.preprocess(decoded)
        prepared = PreparedImage(decoded, inputs, LOOK, quantisation=luminance_step(data))
        found = engine.predict(prepared, StageTimes())
        assert found[0].quality
        return found[0].quality

    assert "compressed" in judged(40, 70).reasons
    assert "compressed" not in judged(40, 5).reasons
    large = judged(95, 70)
    assert "compressed" not in large.reasons
    assert large.compression == pytest.approx(70 / (95 / 8) ** 2, rel=0.2)


def test_what_is_no_jpeg_is_not_known_to_be_compressed(face: Face) -> None:
    assert face.quality
    assert face.quality.compression is None
    assert compression(None, 40) is None
    assert compression(8, 0) == 8


@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": b"Exif\0\0" + bytes(9)}])
def test_the_step_is_that_of_the_luminance(
    portrait: Image, subsampling: int, options: dict[str, Any]
) -> None:
    luminance, chrominance = [*range(1, 65)], [99] * 64
    data = jpeg(portrait, qtables=[luminance, chrominance], subsampling=subsampling, **options)
    stored = Pillow.open(io.BytesIO(data)).quantization[0]
    lower = [stored[8 * y + x] for y in range(8) for x in range(8) if x + y <= 5]
    assert luminance_step(data) == pytest.approx(np.mean(lower))


def test_tables_of_sixteen_bits_and_broken_ones() -> None:
    steps = b"".join(value.to_bytes(2) for value in range(300, 364))
    table = b"\xff\xdb\x00\x83\x10" + steps
    frame = b"\xff\xc1\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00"
    assert luminance_step(b"\xff\xd8" + table + frame + b"\xff\xda") == 310
    assert luminance_step(b"\xff\xd8" + frame + b"\xff\xda") is None
    assert luminance_step(b"\xff\xd8" + table + b"\xff\xda") is None
    for length in range(len(table + frame)):
        luminance_step(b"\xff\xd8" + (table + frame)[:length])
