"""Photos, and requests and answers of a running server, for the tests of every route."""

from __future__ import annotations

from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from face_service.schemas import ErrorResponse
from face_service.vision.image import decode
from tests.conftest import ROOT
from tests.images import encode
from tests.server import Server

SOLVAY_FACES = 29


@pytest.fixture(scope="session")
def group(solvay: Path) -> bytes:
    """Solvay 1927 at 1200×868: 29 faces."""
    image = cv2.resize(cv2.imread(str(solvay)), (1200, 868), interpolation=cv2.INTER_AREA)
    return encode(image, "JPEG", quality=95)


@pytest.fixture(scope="session")
def portrait(solvay: Path) -> np.ndarray:
    """A piece of Solvay 1927 with eight faces, BGR."""
    return decode(solvay.read_bytes(), 10**8)[900:1400, 1250:2050].copy()


def post(server: Server, data: bytes, **query: object) -> httpx.Response:
    return server.client.post("/detect", files={"file": ("frame.jpg", data)}, params=query)


def faces_of(server: Server, data: bytes, **query: object) -> list[dict]:
    response = post(server, data, **query)
    assert response.status_code == 200, response.text
    return response.json()["faces"]


def assert_error(response: httpx.Response, status: int, code: str, *words: str) -> None:
    """The one error shape, with a sentence that holds `words`."""
    assert response.status_code == status, response.text
    error = ErrorResponse.model_validate(response.json(), strict=True)
    assert set(response.json()) == {"detail", "code", "request_id"}
    assert error.code == code
    assert error.request_id == response.headers["x-request-id"]
    for word in words:
        assert word in error.detail
    assert "Traceback" not in response.text
    assert str(ROOT) not in response.text


def post_batch(server: Server, files: list[bytes], **query: object) -> httpx.Response:
    form = [("files", (f"{index}.jpg", data)) for index, data in enumerate(files)]
    return server.client.post("/detect/batch", files=form, params=query)
