"""A call of the clients on the wire: what is sent, and what is read of the answer."""

from __future__ import annotations

import httpx
import numpy as np

from face_service_client import Client

from .conftest import Connect
from .misbehaving import EMBEDDING, Misbehaving


def test_an_answer_is_read(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")
    found = connect(url + "/", api_key="secret").detect(b"image", request_id="mine")
    (face,) = found.faces
    assert face.bbox.tolist() == [1.5, 2.0, 30.25, 40.0]
    assert face.bbox.dtype == face.embedding.dtype == face.landmarks.dtype == np.float32
    assert np.array_equal(face.embedding, EMBEDDING)
    assert face.landmarks.shape == (5, 2)
    assert (face.det_score, face.age, face.gender, face.error) == (0.75, 30, "F", None)
    assert (face.quality, face.usable, face.reasons) == (None, None, None)
    assert (found.image_width, found.image_height, found.model.pack) == (640, 480, "scripted")
    assert found.stages == {"decode": 1.25, "detect": 2.5}
    assert seen[0].headers["Authorization"] == "Bearer secret"
    assert seen[0].headers["X-Request-ID"] == "mine"
    assert seen[0].path.endswith("/detect?embedding_format=base64")


def test_options_are_query_parameters(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")
    connect(url).detect(
        b"image", min_score=0.25, max_faces=2, min_face_size=20, embeddings=False, quality=False
    )
    assert dict(httpx.URL(f"http://x{seen[0].path}").params) == {
        "embedding_format": "none",
        "min_score": "0.25",
        "max_faces": "2",
        "min_face_size": "20",
        "quality": "false",
    }


def test_an_http_client_of_ones_own_stays_open(misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")
    with httpx.Client(headers={"X-Mine": "1"}) as http:
        with Client(url, http=http) as client:
            client.detect(b"image")
        assert not http.is_closed
    assert seen[0].headers["X-Mine"] == "1"
