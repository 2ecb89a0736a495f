"""Pictures that are longer than 16 bits can count have their faces like any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_service.vision.blob import Image
from tests.images import encode
from tests.server import Server


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Iterator[Server]:
    started = start_server(MAX_IMAGE_PIXELS="60000000")
    started.wait_until_ready()
    yield started
    assert started.stop() == 0


@pytest.fixture(scope="module")
def portrait(solvay: Path) -> Image:
    """One face, as large as a strip of 1,200 pixels lets it be."""
    face = cv2.imread(str(solvay))[1000:1400, 1350:1750]
    return cv2.resize(face, (1200, 1200), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
@pytest.mark.parametrize("tall", [False, True], ids=["wide", "tall"])
def test_a_picture_of_33000_pixels(
    image_format: str, tall: bool, server: Server, portrait: Image
) -> None:
    strip = np.zeros((1200, 33_000, 3), np.uint8)
    for n in range(27):
        strip[:, n * 1200 : n * 1200 + 1200] = portrait
    image = np.ascontiguousarray(strip.transpose(1, 0, 2)) if tall else strip
    response = server.client.post(
        "/detect",
        params={"min_score": 0.05, "max_faces": 20},
        content=encode(image, image_format),
        headers={"Content-Type": "image/png"},
    )
    assert response.status_code == 200, response.text
    answer = response.json()
    assert (answer["image_width"], answer["image_height"]) == image.shape[1::-1]
    assert answer["faces"], "there is no crop of a picture in which no face is found"
