"""Pictures that are longer than 16 bits can count have the faces of the same picture cropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from face_service.packs.pack import Pack
from face_service.vision.alignment import TOO_LONG
from face_service.vision.blob import Image
from face_service.vision.image import decode
from tests.images import encode
from tests.server import Server

SIDE = 1800
"""Of the strip and of each face in it, which are 35 pixels on the detector's canvas."""
PIXELS = 2.0
"""Most that a corner or a landmark may differ, of faces that are 1,200 pixels tall: a column less
changes the scale of the canvas by 1/32,767."""


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server], starter: Pack) -> Iterator[Server]:
    limits = {"MAX_IMAGE_PIXELS": "60000000", "MAX_BODY_MB": "200", "REQUEST_TIMEOUT_S": "300"}
    started = start_server(INSIGHTFACE_MODEL=starter.name, **limits)
    started.wait_until_ready()
    yield started
    assert started.stop() == 0


@pytest.fixture(scope="module")
def portrait(solvay: Path) -> Image:
    """One face, as large as a strip of SIDE pixels lets it be."""
    face = cv2.imread(str(solvay))[813:961, 2260:2408]
    return cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def png(image: Image) -> bytes:
    """A PNG that is written fast."""
    data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    return bytes(data.tobytes())


def faces_in(server: Server, data: bytes, **options: float) -> list[dict[str, Any]]:
    post = {"params": {"attributes": False, **options}, "files": {"file": data}}
    response = server.client.post("/detect", **post, timeout=300)
    assert response.status_code == 200, response.text
    faces: list[dict[str, Any]] = response.json()["faces"]
    return faces


def points_of(face: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The corners of its box, then its landmarks: [7, 2]."""
    return np.array([face["bbox"][:2], face["bbox"][2:], *face["landmarks"]])


@pytest.mark.parametrize(
    ("image_format", "tall"),
    [pytest.param("PNG", False, id="wide PNG"), pytest.param("JPEG", True, id="tall JPEG")],
)
def test_its_faces_are_those_of_the_cropped_picture(
    image_format: str, tall: bool, server: Server, portrait: Image
) -> None:
    count = TOO_LONG // SIDE + 1
    image = np.tile(portrait, (count, 1, 1) if tall else (1, count, 1))[:TOO_LONG, :TOO_LONG]
    data = png(image) if image_format == "PNG" else encode(image, image_format)
    pixels = decode(data, 10**9)
    assert max(pixels.shape) == TOO_LONG, "OpenCV would not cut faces out of it"
    cropped = np.ascontiguousarray(pixels[1:] if tall else pixels[:, 1:])
    shift = (0, 1) if tall else (1, 0)
    faces = faces_in(server, data, min_score=0.5, max_faces=4)
    others = faces_in(server, cv2.imencode(".bmp", cropped)[1].tobytes(), min_score=0.4)
    assert len(faces) == 4
    for face in faces:
        distances = [np.abs(points_of(one) + shift - points_of(face)).max() for one in others]
        other = others[int(np.argmin(distances))]
        assert min(distances) < PIXELS
        assert abs(other["det_score"] - face["det_score"]) < 0.01
        assert np.dot(other["embedding"], face["embedding"]) >= 0.999
