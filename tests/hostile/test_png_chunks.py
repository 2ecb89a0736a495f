"""Chunks of a PNG that say they are longer than the file: no decoder makes room for them."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from face_service.errors import InvalidImage
from face_service.vision import png
from face_service.vision.image import decode
from tests.hostile.pictures import PIXELS, chunk, png_with
from tests.images import encode

LIMIT = 50_000_000
WHOLE = encode(PIXELS, "PNG")
FIRST_CHUNK, IEND = 8, len(WHOLE) - 12
IDAT = WHOLE.index(b"IDAT") - 4


def longer(at: int) -> bytes:
    """WHOLE, whose chunk at a position says that it ends a byte behind the file."""
    return WHOLE[:at] + struct.pack(">I", len(WHOLE) - at - 12 + 1) + WHOLE[at + 4 :]


@pytest.fixture
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV is not asked."""
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))


@pytest.mark.usefixtures("no_decoder")
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(longer(FIRST_CHUNK), id="header"),
        pytest.param(longer(IDAT), id="pixels"),
        pytest.param(WHOLE[: IDAT + 8], id="cut in a chunk's head"),
    ],
)
def test_a_chunk_longer_than_the_file_reaches_no_decoder(data: bytes) -> None:
    with pytest.raises(InvalidImage, match="damaged, cut short"):
        decode(data, LIMIT)


def test_chunks_are_counted_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "MAX_CHUNKS", 10)
    own = WHOLE.count(b"IDAT") + 2
    fitting = png_with(chunk(b"teSt", b"") * (10 - own))
    assert np.array_equal(decode(fitting, LIMIT), PIXELS)
    with pytest.raises(InvalidImage, match="damaged, cut short"):
        decode(png_with(chunk(b"teSt", b"") * (11 - own)), LIMIT)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(longer(IEND), id="it is longer than the file"),
        pytest.param(WHOLE[:IEND], id="it is not there"),
        pytest.param(WHOLE[:-1], id="its last byte is not there"),
        pytest.param(WHOLE[:IEND] + chunk(b"tEXt", b"a\x00b")[:-3], id="text that is cut"),
    ],
)
def test_a_png_that_lacks_only_its_end_is_read(data: bytes) -> None:
    assert np.array_equal(decode(data, LIMIT), PIXELS)


def test_what_stands_behind_the_end_is_not_looked_at() -> None:
    assert decode(WHOLE + b"\xff" * 100, LIMIT).shape == PIXELS.shape
