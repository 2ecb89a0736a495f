"""Photos, and requests and answers of a running server, for the tests of every route."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from face_service.packs.pack import Pack
from face_service.schemas import ErrorResponse
from face_service.vision.blob import Image
from face_service.vision.image import decode
from tests.conftest import ROOT
from tests.server import ONE_THREAD, Server

GROUP_FACES = 4


@pytest.fixture(scope="session")
def group(four_faces: Path) -> bytes:
    """A JPEG of 610×340 with GROUP_FACES faces."""
    return four_faces.read_bytes()


@pytest.fixture(scope="session")
def pixels(group: bytes) -> Image:
    """The same, decoded."""
    return decode(group, 10**8)


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


@pytest.fixture(scope="module")
def starter_server(start_server: Callable[..., Server], starter: Pack) -> Server:
    """A ready server on the starter pack, for what holds of its detector."""
    running = start_server(INSIGHTFACE_MODEL=starter.name, **ONE_THREAD)
    running.wait_until_ready()
    return running
